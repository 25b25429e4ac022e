// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl poison, writeprotect and rwprotect. */
#include "cmd/resolve.h"
#include "cmd/usage.h"

static const struct resolve_words poison_words = { "poisoned", "they are past the end of the mapped file" };
static const struct resolve_words protect_words = { "protected", "they are past the end of the mapped file" };
static const struct resolve_words release_words = { "unprotected", "they are past the end of the mapped file" };

static const struct option_group groups[] = { RESOLVE_GROUPS, {} };

/* ---- poison ---- */

static const struct column poison_columns[] = {
	RANGE_COLUMNS,
	{ "POISONED", "bytes that this command poisoned", COL_RIGHT, result_mapped },
	{ "ALREADY", "bytes that are mapped, swapped, marked or poisoned: left as they are (EEXIST)", COL_RIGHT,
	  result_already },
	{ "ABSENT", "bytes past the end of the file", COL_RIGHT, result_absent },
	DRY_RUN_COLUMN,
	{ "ERROR", "why the rest was not done, with its address", COL_WIDE, result_error },
	{}
};

static int run_poison(struct invocation *inv)
{
	return run_resolve(inv, uffdctl_poison, &poison_words);
}

const struct cmd cmd_poison = {
	.name = "poison",
	.summary = "Let accesses to pages fail with SIGBUS, as if their memory were broken",
	.args = "PID RANGE...",
	.parse = parse_resolve,
	.groups = groups,
	.options_size = sizeof(struct resolve_options),
	.columns = poison_columns,
	.acts = true,
	.run = run_poison,
};

/* ---- writeprotect, rwprotect ---- */

static const struct argp_option off_options[] = {
	{ "off", OPT_OFF, NULL, 0, "Remove the marks, and wake the threads that wait for them", 10 }, {}
};

static const struct column protect_columns[] = {
	RANGE_COLUMNS,
	{ "DONE", "bytes that the kernel went through: where there is no page there may be no mark", COL_RIGHT,
	  result_mapped },
	DRY_RUN_COLUMN,
	{ "ERROR", "why the rest was not done, with its address", COL_WIDE, result_error },
	{}
};

static error_t parse_protect(int key, char *arg, struct argp_state *state)
{
	const struct resolve_options *o = state->input;

	if (key == ARGP_KEY_END &&
	    (o->drive.flags & (UFFDCTL_ACTION_OFF | UFFDCTL_ACTION_NO_WAKE)) == UFFDCTL_ACTION_NO_WAKE)
		return usage_error(state, "--no-wake is for --off: to mark pages wakes nobody");
	return parse_resolve(key, arg, state);
}

static const struct resolve_words *words_of(const struct invocation *inv)
{
	const struct resolve_options *o = inv->options;

	return o->drive.flags & UFFDCTL_ACTION_OFF ? &release_words : &protect_words;
}

static int run_writeprotect(struct invocation *inv)
{
	return run_resolve(inv, uffdctl_writeprotect, words_of(inv));
}

static int run_rwprotect(struct invocation *inv)
{
	return run_resolve(inv, uffdctl_rwprotect, words_of(inv));
}

const struct cmd cmd_writeprotect = {
	.name = "writeprotect",
	.summary = "Mark pages so that writes to them fault, or remove the marks",
	.args = "PID RANGE...",
	.options = off_options,
	.parse = parse_protect,
	.groups = groups,
	.options_size = sizeof(struct resolve_options),
	.columns = protect_columns,
	.acts = true,
	.run = run_writeprotect,
};

const struct cmd cmd_rwprotect = {
	.name = "rwprotect",
	.summary = "Mark pages so that all accesses to them fault, or remove the marks",
	.args = "PID RANGE...",
	.options = off_options,
	.parse = parse_protect,
	.groups = groups,
	.options_size = sizeof(struct resolve_options),
	.columns = protect_columns,
	.acts = true,
	.run = run_rwprotect,
};
