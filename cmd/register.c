// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl register and unregister. */
#include "cmd/drive.h"
#include "cmd/usage.h"

enum {
	OPT_HANDSHAKE = 0x500,
	OPT_INJECT,
};

struct register_options {
	struct drive_options drive;
	uint64_t modes;
};

static void result_modes(const void *row, struct cell *ret)
{
	cell_bits(ret, result_of(row)->modes, uffdctl_mode_name);
}

static void result_fd(const void *row, struct cell *ret)
{
	int fd = ((const struct result_row *)row)->fd;

	cell_number(ret, fd < 0 ? UFFDCTL_UNKNOWN : (uint64_t)fd);
}

static void result_ioctls(const void *row, struct cell *ret)
{
	cell_bits(ret, result_of(row)->error ? UFFDCTL_UNKNOWN : result_of(row)->ioctls, uffdctl_ioctl_name);
}

static void no_ioctls(const void *row, struct cell *ret)
{
	(void)row;
	cell_list(ret);
}

#define FD_COLUMN                                                                                  \
	{                                                                                          \
		"FD", "number of the userfaultfd's descriptor in its holder", COL_RIGHT, result_fd \
	}

static const struct column register_columns[] = {
	RANGE_COLUMNS,
	{ "MODE", "all modes that the part has now, including earlier ones", 0, result_modes },
	FD_COLUMN,
	{ "IOCTLS", "ioctls that the kernel allows on the range; unknown in a dry run", 0, result_ioctls },
	DRY_RUN_COLUMN,
	{ "ERROR", "why the part was not registered", COL_WIDE, result_error },
	{}
};

static const struct column unregister_columns[] = {
	RANGE_COLUMNS,
	{ "MODE", "modes that the part had", 0, result_modes },
	FD_COLUMN,
	{ "IOCTLS", "always empty", COL_HIDDEN, no_ioctls },
	DRY_RUN_COLUMN,
	{ "ERROR", "why the part was not unregistered", COL_WIDE, result_error },
	{},
};

static const struct argp_option register_options[] = {
	{ "mode", 'm', "MODES", 0,
	  "Register for minor faults (the default), missing, wp, rwp, or several, separated by commas", 10 },
	{ "handshake", OPT_HANDSHAKE, NULL, 0, "Issue UFFDIO_API if the process has not; its own call will then fail",
	  50 },
	{ "inject", OPT_INJECT, NULL, 0,
	  "If no userfaultfd governs the memory of the process, make one inside of it by ptrace(2)", 50 },
	{}
};

static error_t parse_register(int key, char *arg, struct argp_state *state)
{
	struct register_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		o->modes = UFFDCTL_MODE_MINOR;
		return 0;
	case 'm':
		if (uffdctl_modes_parse(arg, &o->modes) < 0)
			return usage_error(state,
					   "--mode=%s: write minor, missing, wp, rwp, or several, separated by commas",
					   arg);
		return 0;
	case OPT_HANDSHAKE:
		o->drive.handshake = true;
		return 0;
	case OPT_INJECT:
		o->drive.inject = true;
		return 0;
	case ARGP_KEY_END:
		return o->drive.inject && o->drive.has_fd
			       ? usage_error(state, "--inject is for a process without a userfaultfd: --fd names one")
			       : 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int do_register(struct drive *d)
{
	const struct register_options *o = d->inv->options;
	const struct uffdctl_action_opts opts = drive_opts(d);

	return uffdctl_register(d->handle, o->drive.ranges, o->modes, &opts);
}

static int do_unregister(struct drive *d)
{
	const struct uffdctl_action_opts opts = drive_opts(d);

	return uffdctl_unregister(d->handle, d->options->ranges, &opts);
}

static int change_registration(struct invocation *inv, int (*work)(struct drive *d))
{
	struct register_options *o = inv->options;
	struct drive d = { .inv = inv, .options = &o->drive, .if_interrupted = "interrupted: nothing was changed" };

	return run_drive(&d, work);
}

static int run_register(struct invocation *inv)
{
	return change_registration(inv, do_register);
}

static int run_unregister(struct invocation *inv)
{
	return change_registration(inv, do_unregister);
}

static const struct option_group register_groups[] = {
	{ &drive_argp, offsetof(struct register_options, drive) },
	{ &lock_argp, offsetof(struct register_options, drive) },
	{},
};

const struct cmd cmd_register = {
	.name = "register",
	.summary = "Register ranges on a process's userfaultfd",
	.args = "PID RANGE...",
	.options = register_options,
	.parse = parse_register,
	.groups = register_groups,
	.options_size = sizeof(struct register_options),
	.columns = register_columns,
	.acts = true,
	.run = run_register,
};

const struct cmd cmd_unregister = {
	.name = "unregister",
	.summary = "Unregister ranges, and wake the threads that wait there",
	.args = "PID RANGE...",
	.groups = register_groups,
	.options_size = sizeof(struct register_options),
	.columns = unregister_columns,
	.acts = true,
	.run = run_unregister,
};
