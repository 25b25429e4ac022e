// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl continue and wake. */
#include "cmd/progress.h"
#include "cmd/resolve.h"

static const struct column continue_columns[] = {
	{ "PID", "process", COL_RIGHT, col_act_pid },
	{ "START", "first address", COL_RIGHT, col_act_start },
	{ "END", "address behind the last", COL_RIGHT, col_act_end },
	{ "MAPPED", "bytes that this command entered into the page table", COL_RIGHT, col_mapped },
	{ "FILLED", "bytes of MAPPED that were written first", COL_RIGHT, col_filled },
	{ "ALREADY", "bytes that were mapped already (EEXIST)", COL_RIGHT, col_already },
	{ "ABSENT", "bytes without a page in the page cache (EFAULT)", COL_RIGHT, col_absent },
	{ "ELSEWHERE", "bytes left alone, since they are mapped elsewhere too", COL_RIGHT, col_elsewhere },
	{ "ERROR", "what kept the rest from being done, with its address", COL_WIDE, col_act_error },
	{}
};

static const struct column wake_columns[] = { { "PID", "process", COL_RIGHT, col_act_pid },
					      { "START", "first address", COL_RIGHT, col_act_start },
					      { "END", "address behind the last", COL_RIGHT, col_act_end },
					      { "MAPPED", "not known of a wake", COL_RIGHT | COL_HIDDEN, col_mapped },
					      { "ALREADY", "not known of a wake", COL_RIGHT | COL_HIDDEN, col_already },
					      { "ABSENT", "not known of a wake", COL_RIGHT | COL_HIDDEN, col_absent },
					      { "FILLED", "not known of a wake", COL_RIGHT | COL_HIDDEN, col_filled },
					      { "ELSEWHERE", "not known of a wake", COL_RIGHT | COL_HIDDEN, col_elsewhere },
					      { "ERROR", "what went wrong", COL_WIDE, col_act_error },
					      {} };

static const struct argp_option continue_options[] = {
	{ "wp", OPT_WP, NULL, 0,
	  "Map the pages write-protected (UFFDIO_CONTINUE_MODE_WP); marks that are there stay without this", 10 },
	{ "force", OPT_FORCE, NULL, 0, "Fill although somebody else reads the messages or resolves faults", 16 },
	{}
};

static int run_continue(void)
{
	return run_resolve(
		uffdctl_continue,
		"the page cache has no page there (--from and --from-zero fill such pages, except past the end of the file)");
}

static int run_wake(void)
{
	int r = act_open();

	if (r >= 0)
		r = uffdctl_wake(act.handle, act.ranges, act.flags, act_result, NULL);
	return act_close(r);
}

const struct cmd cmd_continue = {
	.name = "continue",
	.summary = "Resolve minor faults in bulk, filling pages if asked",
	.args = "PID RANGE...",
	.options = continue_options,
	.parse = resolve_parse,
	.children = (const struct argp_child[]){ { &fill_argp, 0, NULL, 0 },
						 { &work_argp, 0, NULL, 0 },
						 { &act_argp, 0, NULL, 0 },
						 { &lock_argp, 0, NULL, 0 },
						 { &progress_argp, 0, NULL, 0 },
						 { &common_argp, 0, NULL, 0 },
						 {} },
	.columns = continue_columns,
	.run = run_continue,
};

const struct cmd cmd_wake = {
	.name = "wake",
	.summary = "Wake the threads that wait in ranges: they try again",
	.args = "PID RANGE...",
	.children =
		(const struct argp_child[]){
			{ &act_argp, 0, NULL, 0 }, { &handshake_argp, 0, NULL, 0 }, { &common_argp, 0, NULL, 0 }, {} },
	.columns = wake_columns,
	.run = run_wake,
};
