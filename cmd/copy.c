// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl copy and zeropage. */
#include "cmd/progress.h"
#include "cmd/resolve.h"

#define PAST_END "they lie past the end of the file that is mapped"

static const struct argp_option force_options[] = {
	{ "force", OPT_FORCE, NULL, 0, "Do it although the process's memory cgroup may not have room for all of it", 16 },
	{}
};

static int run_copy(void)
{
	return run_resolve(uffdctl_copy, PAST_END);
}

static int run_zeropage(void)
{
	return run_resolve(uffdctl_zeropage, PAST_END);
}

const struct cmd cmd_copy = {
	.name = "copy",
	.summary = "Resolve missing faults in bulk: put pages where none are",
	.args = "PID RANGE...",
	.options = force_options,
	.parse = resolve_parse,
	.children = (const struct argp_child[]){ { &contents_argp, 0, NULL, 0 },
						 { &work_argp, 0, NULL, 0 },
						 { &act_argp, 0, NULL, 0 },
						 { &lock_argp, 0, NULL, 0 },
						 { &progress_argp, 0, NULL, 0 },
						 { &common_argp, 0, NULL, 0 },
						 {} },
	.columns = made_columns,
	.run = run_copy,
};

const struct cmd cmd_zeropage = {
	.name = "zeropage",
	.summary = "Resolve missing faults in bulk with zeros",
	.args = "PID RANGE...",
	.options = force_options,
	.parse = resolve_parse,
	.children = (const struct argp_child[]){ { &work_argp, 0, NULL, 0 },
						 { &act_argp, 0, NULL, 0 },
						 { &lock_argp, 0, NULL, 0 },
						 { &progress_argp, 0, NULL, 0 },
						 { &common_argp, 0, NULL, 0 },
						 {} },
	.columns = made_columns,
	.run = run_zeropage,
};
