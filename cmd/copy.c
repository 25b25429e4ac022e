// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl copy and zeropage. */
#include "cmd/resolve.h"
#include "cmd/usage.h"

#define PAST_END "they lie past the end of the file that is mapped"

static const struct column made_columns[] = {
	RANGE_COLUMNS,
	{ "MAPPED", "bytes that this command put pages in", COL_RIGHT, result_mapped },
	{ "ALREADY", "bytes that had pages already (EEXIST)", COL_RIGHT, result_already },
	{ "ABSENT", "bytes past the end of the file", COL_RIGHT, result_absent },
	{ "FILLED", "bytes of MAPPED that have contents of this command: all of them", COL_RIGHT | COL_HIDDEN,
	  result_filled },
	{ "ELSEWHERE", "not known here: pages are made, none is overwritten", COL_RIGHT | COL_HIDDEN,
	  result_elsewhere },
	{ "ERROR", "what kept the rest from being done, with its address", COL_WIDE, result_error },
	{}
};

static const struct argp_option force_options[] = {
	{ "force", OPT_FORCE, NULL, 0, "Do it although the process's memory cgroup may not have room for all of it",
	  16 },
	{}
};

static error_t parse_copy(int key, char *arg, struct argp_state *state)
{
	const struct resolve_options *o = state->input;

	if (key == ARGP_KEY_END && !contents_given(&o->contents))
		return usage_error(state, "no contents given: --from=FILE, --from=- (standard input) or --from-zero");
	return parse_resolve(key, arg, state);
}

static int run_copy(struct invocation *inv)
{
	return run_resolve(inv, uffdctl_copy, PAST_END);
}

static int run_zeropage(struct invocation *inv)
{
	return run_resolve(inv, uffdctl_zeropage, PAST_END);
}

static const struct option_group copy_groups[] = {
	{ &contents_argp, offsetof(struct resolve_options, contents) },
	RESOLVE_GROUPS,
	{},
};

const struct cmd cmd_copy = {
	.name = "copy",
	.summary = "Resolve missing faults in bulk: put pages where none are",
	.args = "PID RANGE...",
	.options = force_options,
	.parse = parse_copy,
	.groups = copy_groups,
	.options_size = sizeof(struct resolve_options),
	.columns = made_columns,
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
	.run = run_zeropage,
};
