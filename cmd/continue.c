// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl continue. */
#include "cmd/resolve.h"

static const struct column continue_columns[] = {
	RANGE_COLUMNS,
	{ "MAPPED", "bytes that this command mapped", COL_RIGHT, result_mapped },
	{ "FILLED", "bytes of MAPPED that this command wrote first", COL_RIGHT, result_filled },
	{ "ALREADY", "bytes that were mapped already (EEXIST)", COL_RIGHT, result_already },
	{ "ABSENT", "bytes without a page in the page cache (EFAULT)", COL_RIGHT, result_absent },
	{ "ELSEWHERE", "bytes not written and not continued, because they are mapped elsewhere or swapped out",
	  COL_RIGHT, result_elsewhere },
	DRY_RUN_COLUMN,
	{ "ERROR", "why the rest was not done, with its address", COL_WIDE, result_error },
	{}
};

static const struct argp_option continue_options[] = {
	{ "wp", OPT_WP, NULL, 0,
	  "Map the pages write-protected (UFFDIO_CONTINUE_MODE_WP); existing marks are kept without this option", 10 },
	{ "force", OPT_FORCE, NULL, 0, "Fill although a handler reads the messages or somebody else resolves faults; no warning of its memory cgroup",
	  16 },
	{}
};

static int run_continue(struct invocation *inv)
{
	static const struct resolve_words words = {
		"mapped",
		"they are not in the page cache (--from and --from-zero fill such pages, except past the end of the file)"
	};

	return run_resolve(inv, uffdctl_continue, &words);
}

static const struct option_group continue_groups[] = {
	{ &fill_argp, offsetof(struct resolve_options, contents) },
	RESOLVE_GROUPS,
	{},
};

const struct cmd cmd_continue = {
	.name = "continue",
	.summary = "Resolve minor faults in bulk; optionally fill the pages first",
	.args = "PID RANGE...",
	.options = continue_options,
	.parse = parse_resolve,
	.groups = continue_groups,
	.options_size = sizeof(struct resolve_options),
	.columns = continue_columns,
	.acts = true,
	.run = run_continue,
};
