// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl copy and zeropage. */
#include "cmd/resolve.h"
#include "cmd/usage.h"

static const struct resolve_words words = { "mapped", "they are past the end of the mapped file" };

static const struct column made_columns[] = {
	RANGE_COLUMNS,
	{ "MAPPED", "bytes in which this command put pages", COL_RIGHT, result_mapped },
	{ "ALREADY", "bytes that had pages already (EEXIST)", COL_RIGHT, result_already },
	{ "ABSENT", "bytes past the end of the file", COL_RIGHT, result_absent },
	{ "FILLED", "same as MAPPED: every page comes with its contents", COL_RIGHT | COL_HIDDEN, result_filled },
	{ "ELSEWHERE", "0; unknown in a dry run", COL_RIGHT | COL_HIDDEN, result_elsewhere },
	DRY_RUN_COLUMN,
	{ "ERROR", "why the rest was not done, with its address", COL_WIDE, result_error },
	{}
};

static const struct argp_option force_options[] = {
	{ "force", OPT_FORCE, NULL, 0, "Proceed although the process's memory cgroup may not have room for all pages",
	  16 },
	{}
};

static error_t parse_copy(int key, char *arg, struct argp_state *state)
{
	const struct resolve_options *o = state->input;

	if (key == ARGP_KEY_END && !contents_given(&o->contents))
		return usage_error(state,
				   "no contents given: use --from=FILE, --from=- (standard input) or --from-zero");
	return parse_resolve(key, arg, state);
}

static int run_copy(struct invocation *inv)
{
	return run_resolve(inv, uffdctl_copy, &words);
}

static int run_zeropage(struct invocation *inv)
{
	return run_resolve(inv, uffdctl_zeropage, &words);
}

static const struct option_group copy_groups[] = {
	{ &contents_argp, offsetof(struct resolve_options, contents) },
	RESOLVE_GROUPS,
	{},
};

const struct cmd cmd_copy = {
	.name = "copy",
	.summary = "Resolve missing faults in bulk: put pages where there are none",
	.args = "PID RANGE...",
	.options = force_options,
	.parse = parse_copy,
	.groups = copy_groups,
	.options_size = sizeof(struct resolve_options),
	.columns = made_columns,
	.acts = true,
	.run = run_copy,
};

static const struct option_group zeropage_groups[] = { RESOLVE_GROUPS, {} };

const struct cmd cmd_zeropage = {
	.name = "zeropage",
	.summary = "Resolve missing faults in bulk with zeros",
	.args = "PID RANGE...",
	.options = force_options,
	.parse = parse_resolve,
	.groups = zeropage_groups,
	.options_size = sizeof(struct resolve_options),
	.columns = made_columns,
	.acts = true,
	.run = run_zeropage,
};
