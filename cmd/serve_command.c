// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl serve -- COMMAND: a program is started, and served from its first instruction on. */
#include <errno.h>
#include <unistd.h>

#include "cmd/interrupt.h"
#include "cmd/serve.h"

/* As env(1) and others: the program's own status otherwise. */
enum {
	EXIT_OURS = 125,
	EXIT_NOT_RUN = 126,
	EXIT_NOT_FOUND = 127,
};

static int start_command(struct serving *sv)
{
	struct drive_options *o = sv->drive.options;
	int r = uffdctl_child_start(sv->drive.inv->context, o->command, &sv->drive.child);

	if (r < 0)
		return r;
	o->pid = uffdctl_child_pid(sv->drive.child);
	o->inject = true;
	return 0;
}

int run_command_served(struct serving *sv)
{
	bool served;
	int r, status;

	r = sv->opened < 0 ? sv->opened : start_command(sv);
	/* What we print must not come into what the program prints. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	if (r < 0)
		uffdctl_ranges_free(sv->drive.options->ranges);
	if (sv->opened < 0)
		return EXIT_OURS;
	if (r < 0)
		return r == -ENOENT ? EXIT_NOT_FOUND : r == -EACCES || r == -ENOEXEC ? EXIT_NOT_RUN : EXIT_OURS;
	run_drive(&sv->drive, do_serve);
	served = sv->stats.end != UFFDCTL_SERVE_RUNS;
	if (served)
		uffdctl_child_wait(sv->drive.child);
	interrupts_forward(0);
	status = uffdctl_child_end(sv->drive.child);
	return served ? status : EXIT_OURS;
}
