// SPDX-License-Identifier: GPL-2.0-or-later
/* PID... as the arguments of a command. */
#include <stdlib.h>

#include "pids.h"

pid_t *pids;
size_t nr_pids;

void pids_add(const char *arg, struct argp_state *state)
{
	pid_t *p = reallocarray(pids, nr_pids + 1, sizeof(*pids));

	if (!p) {
		argp_failure(state, EXIT_UNDONE, 0, "out of memory");
		return;
	}
	pids = p;
	if (parse_pid(arg, &pids[nr_pids++]) < 0)
		argp_error(state, "%s: not a PID", arg);
}

int pids_check(void)
{
	struct uffdctl_target *t;
	int failed = 0;

	for (size_t i = 0; i < nr_pids; i++) {
		if (uffdctl_target_open(ctx(), pids[i], &t) < 0)
			failed = 1;
		else
			uffdctl_target_close(t);
	}
	return failed;
}
