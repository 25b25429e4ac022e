// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl wake. */
#include "cmd/drive.h"

static const struct column wake_columns[] = {
	RANGE_COLUMNS,
	{ "MAPPED", "always unknown for wake", COL_RIGHT | COL_HIDDEN, result_mapped },
	{ "ALREADY", "always unknown for wake", COL_RIGHT | COL_HIDDEN, result_already },
	{ "ABSENT", "always unknown for wake", COL_RIGHT | COL_HIDDEN, result_absent },
	{ "FILLED", "always unknown for wake", COL_RIGHT | COL_HIDDEN, result_filled },
	{ "ELSEWHERE", "always unknown for wake", COL_RIGHT | COL_HIDDEN, result_elsewhere },
	DRY_RUN_COLUMN,
	{ "ERROR", "what went wrong", COL_WIDE, result_error },
	{}
};

static int do_wake(struct drive *d)
{
	const struct uffdctl_action_opts opts = drive_opts(d);

	return uffdctl_wake(d->handle, d->options->ranges, &opts);
}

static int run_wake(struct invocation *inv)
{
	struct drive d = { .inv = inv, .options = inv->options, .if_interrupted = "interrupted: nothing was changed" };

	return run_drive(&d, do_wake);
}

static const struct option_group wake_groups[] = { { &drive_argp, 0 }, {} };

const struct cmd cmd_wake = {
	.name = "wake",
	.summary = "Wake the threads that wait in ranges, so that they retry",
	.args = "PID RANGE...",
	.groups = wake_groups,
	.options_size = sizeof(struct drive_options),
	.columns = wake_columns,
	.acts = true,
	.run = run_wake,
};
