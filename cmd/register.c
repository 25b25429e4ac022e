// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl register and unregister. */
#include "cmd/cmd.h"

static uint64_t modes = UFFDCTL_MODE_MINOR;

static void get_mode(const void *row, struct cell *ret)
{
	cell_bits(ret, ((const struct act_row *)row)->result->modes, uffdctl_mode_name);
}

static void get_fd(const void *row, struct cell *ret)
{
	(void)row;
	cell_number(ret, uffdctl_handle_fd(act.handle));
}

static void get_ioctls(const void *row, struct cell *ret)
{
	const struct uffdctl_result *res = ((const struct act_row *)row)->result;

	cell_bits(ret, res->error ? UFFDCTL_UNKNOWN : res->ioctls, uffdctl_ioctl_name);
}

static void get_no_ioctls(const void *row, struct cell *ret)
{
	(void)row;
	cell_list(ret);
}

static const struct column register_columns[] = {
	{ "PID", "process", COL_RIGHT, col_act_pid },
	{ "START", "first address", COL_RIGHT, col_act_start },
	{ "END", "address behind the last", COL_RIGHT, col_act_end },
	{ "MODE", "modes that the part has now, those that were there included", 0, get_mode },
	{ "FD", "descriptor of the userfaultfd, at its holder", COL_RIGHT, get_fd },
	{ "IOCTLS", "what the kernel grants on the range; unknown in a dry run", 0, get_ioctls },
	{ "ERROR", "why the part was not registered", COL_WIDE, col_act_error },
	{}
};

static const struct column unregister_columns[] = {
	{ "PID", "process", COL_RIGHT, col_act_pid },
	{ "START", "first address", COL_RIGHT, col_act_start },
	{ "END", "address behind the last", COL_RIGHT, col_act_end },
	{ "MODE", "modes that the part had", 0, get_mode },
	{ "FD", "descriptor of the userfaultfd, at its holder", COL_RIGHT, get_fd },
	{ "IOCTLS", "none any more", COL_HIDDEN, get_no_ioctls },
	{ "ERROR", "why the part was not unregistered", COL_WIDE, col_act_error },
	{}
};

static const struct argp_option register_options[] = {
	{ "mode", 'm', "MODES", 0, "Kinds of faults: minor (the default), missing, wp, rwp, or several with commas",
	  10 },
	{}
};

static error_t parse_register(int key, char *arg, struct argp_state *state)
{
	if (key != 'm')
		return ARGP_ERR_UNKNOWN;
	if (uffdctl_modes_parse(arg, &modes) < 0)
		argp_error(state, "--mode=%s: write minor, missing, wp, rwp, or several with commas", arg);
	return 0;
}

static int end(int r)
{
	if (r == -EINTR)
		error("%d: interrupted while it waited: nothing was changed", act.pid);
	return act_close(r);
}

static int run_register(void)
{
	int r = act_open();

	if (r >= 0)
		r = uffdctl_register(act.handle, act.ranges, modes, act.flags, act_result, NULL);
	return end(r);
}

static int run_unregister(void)
{
	int r = act_open();

	if (r >= 0)
		r = uffdctl_unregister(act.handle, act.ranges, act.flags, act_result, NULL);
	return end(r);
}

static const struct argp_child children[] = {
	{ &act_argp, 0, NULL, 0 },    { &lock_argp, 0, NULL, 0 }, { &handshake_argp, 0, NULL, 0 },
	{ &common_argp, 0, NULL, 0 }, {}
};

const struct cmd cmd_register = {
	.name = "register",
	.summary = "Register ranges on a process's userfaultfd",
	.args = "PID RANGE...",
	.options = register_options,
	.parse = parse_register,
	.children = children,
	.columns = register_columns,
	.run = run_register,
};

const struct cmd cmd_unregister = {
	.name = "unregister",
	.summary = "Unregister ranges, and wake who waits there",
	.args = "PID RANGE...",
	.children = children,
	.columns = unregister_columns,
	.run = run_unregister,
};
