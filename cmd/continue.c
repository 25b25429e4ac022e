// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl continue. */
#include "cmd/resolve.h"

static const struct column continue_columns[] = {
	RANGE_COLUMNS,
	{ "MAPPED", "bytes that this command entered into the page table", COL_RIGHT, result_mapped },
	{ "FILLED", "bytes of MAPPED that were written first", COL_RIGHT, result_filled },
	{ "ALREADY", "bytes that were mapped already (EEXIST)", COL_RIGHT, result_already },
	{ "ABSENT", "bytes without a page in the page cache (EFAULT)", COL_RIGHT, result_absent },
	{ "ELSEWHERE", "bytes left alone, since they are mapped elsewhere too", COL_RIGHT, result_elsewhere },
	{ "ERROR", "what kept the rest from being done, with its address", COL_WIDE, result_error },
	{}
};

static const struct argp_option continue_options[] = {
	{ "wp", OPT_WP, NULL, 0,
	  "Map the pages write-protected (UFFDIO_CONTINUE_MODE_WP); marks that are there stay without this", 10 },
	{ "force", OPT_FORCE, NULL, 0, "Fill although somebody else reads the messages or resolves faults", 16 },
	{}
};

static int run_continue(struct invocation *inv)
{
	return run_resolve(
		inv, uffdctl_continue,
		"the page cache has no page there (--from and --from-zero fill such pages, except past the end of the file)");
}

static const struct option_group continue_groups[] = {
	{ &fill_argp, offsetof(struct resolve_options, contents) },
	RESOLVE_GROUPS,
	{},
};

const struct cmd cmd_continue = {
	.name = "continue",
	.summary = "Resolve minor faults in bulk, filling pages if asked",
	.args = "PID RANGE...",
	.options = continue_options,
	.parse = parse_resolve,
	.groups = continue_groups,
	.options_size = sizeof(struct resolve_options),
	.columns = continue_columns,
	.run = run_continue,
};
