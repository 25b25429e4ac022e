// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl zap. */
#include "cmd/drive.h"
#include "cmd/interrupt.h"

static const struct column columns[] = { RANGE_COLUMNS,
					 { "ZAPPED",
					   "bytes of pages that were mapped and are not any more; their data are kept",
					   COL_RIGHT, result_mapped },
					 DRY_RUN_COLUMN,
					 { "ERROR", "why the rest was not done", COL_WIDE, result_error },
					 {} };

static int is_interrupted(void *data)
{
	(void)data;
	return interrupted();
}

static int do_zap(struct drive *d)
{
	const struct uffdctl_zap_opts opts = {
		.size = sizeof(opts),
		.flags = d->options->flags,
		.result = drive_result,
		.stop = is_interrupted,
		.data = d,
		.wait_lock_ns = d->options->wait_lock_ns,
	};

	return uffdctl_zap(d->target, d->options->ranges, &opts);
}

static int run_zap(struct invocation *inv)
{
	struct drive d = { .inv = inv, .options = inv->options, .needs_no_uffd = true };

	return run_drive(&d, do_zap);
}

static const struct option_group groups[] = { { &memory_argp, 0 }, { &lock_argp, 0 }, {} };

const struct cmd cmd_zap = {
	.name = "zap",
	.summary = "Drop page-table entries and keep the data, so that pages minor-fault again",
	.args = "PID RANGE...",
	.groups = groups,
	.options_size = sizeof(struct drive_options),
	.columns = columns,
	.acts = true,
	.run = run_zap,
};
