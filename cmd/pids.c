// SPDX-License-Identifier: GPL-2.0-or-later
/* PID... as the arguments of a command. */
#include <stdlib.h>

#include "cmd/pids.h"

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

/* Held from the first check on, so that a PID that is used again is not taken for the same process. */
static struct uffdctl_target **held;

int pids_check(void)
{
	int failed = 0;

	if (held) {
		for (size_t i = 0; i < nr_pids; i++)
			failed |= uffdctl_target_check(held[i]) < 0;
		return failed;
	}
	held = calloc(nr_pids + 1, sizeof(struct uffdctl_target *));
	if (!held) {
		error("out of memory");
		return 1;
	}
	for (size_t i = 0; i < nr_pids; i++)
		failed |= uffdctl_target_open(ctx(), pids[i], &held[i]) < 0;
	return failed;
}

void pids_free(void)
{
	for (size_t i = 0; held && i < nr_pids; i++)
		uffdctl_target_close(held[i]);
	free(held);
	free(pids);
}
