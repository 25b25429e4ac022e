// SPDX-License-Identifier: GPL-2.0-or-later
/* What the commands that change a process have in common: PID, ranges, the userfaultfd, results. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/progress.h"

struct act act = { .fd = -1 };

enum {
	OPT_HANDSHAKE = 0x200,
	OPT_DRY_RUN,
	OPT_WAIT_LOCK,
};

static const struct argp_option options[] = {
	{ "fd", 'f', "[PID:]FD", 0,
	  "Use this userfaultfd; by default the only one there is, or the one that owns the ranges", 50 },
	{ "dry-run", OPT_DRY_RUN, NULL, 0, "Check all, change nothing", 50 },
	{}
};

/* FD is the target's own; PID:FD, as in HOLDERS, is anybody's. */
static void parse_fd(char *arg, struct argp_state *state)
{
	char *colon = strchr(arg, ':'), *end;
	const char *fd = colon ? colon + 1 : arg;
	long n;

	errno = 0;
	n = strtol(fd, &end, 10);
	if (errno || *end || end == fd || n < 0 || n > INT32_MAX || *fd < '0' || *fd > '9')
		argp_error(state, "--fd=%s: write FD or PID:FD, as in the column HOLDERS of uffdctl smaps", arg);
	act.fd = n;
	if (!colon)
		return;
	*colon = '\0';
	if (parse_pid(arg, &act.holder) < 0)
		argp_error(state, "--fd=%s:%s: not a PID", arg, colon + 1);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'f':
		parse_fd(arg, state);
		return 0;
	case OPT_DRY_RUN:
		act.flags |= UFFDCTL_DRY_RUN;
		return 0;
	case OPT_WAIT_LOCK:
		if (parse_time(arg, &act.wait_lock_ns) < 0)
			argp_error(state, "--wait-lock=%s: write a time, as 500ms, 5s or 2m", arg);
		return 0;
	case OPT_HANDSHAKE:
		act.handle_flags |= UFFDCTL_HANDSHAKE;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0) {
			if (parse_pid(arg, &act.pid) < 0)
				argp_error(state, "%s: not a PID", arg);
			return 0;
		}
		if (!act.ranges && uffdctl_ranges_new(ctx(), &act.ranges) < 0)
			exit(EXIT_UNDONE);
		if (uffdctl_ranges_add(act.ranges, arg) < 0)
			exit(EXIT_USAGE);
		return 0;
	case ARGP_KEY_END:
		if (!act.pid)
			argp_error(state, "no PID given");
		if (!act.ranges)
			argp_error(state,
				   "no RANGE given: START-END, START+LEN, @GLOB, :SYMBOL or all (uffdctl(1), RANGES)");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Not for those that need something registered: nothing can be on what had no handshake. */
static const struct argp_option handshake_options[] = {
	{ "handshake", OPT_HANDSHAKE, NULL, 0, "Issue UFFDIO_API where the process has not: its own will fail", 50 }, {}
};

/* For those that change memory. */
static const struct argp_option lock_options[] = {
	{ "wait-lock", OPT_WAIT_LOCK, "TIME", 0,
	  "Wait so long (as 5s) for another command that changes the same memory; by default, fail at once", 50 },
	{}
};

const struct argp lock_argp = { .options = lock_options, .parser = parse };
const struct argp handshake_argp = { .options = handshake_options, .parser = parse };
const struct argp act_argp = { .options = options, .parser = parse };

static int is_interrupted(void *data)
{
	(void)data;
	return progress_interrupted();
}

int act_open(void)
{
	int r;

	if (table_new(common.cmd->name, common.cmd->columns, &act.table) < 0)
		exit(EXIT_USAGE);
	if (act.flags & UFFDCTL_DRY_RUN && act.handle_flags & UFFDCTL_HANDSHAKE)
		act.handle_flags = UFFDCTL_HANDSHAKE_DRY;
	/* What is begun is done, or stopped where it can be said, and in each case reported. */
	progress_begin(false);
	r = uffdctl_target_open(ctx(), act.pid, &act.target);
	if (r >= 0)
		r = uffdctl_handle_open(act.target, act.holder, act.fd, act.ranges, act.handle_flags, &act.handle);
	if (r >= 0)
		uffdctl_handle_wait_lock(act.handle, act.wait_lock_ns, is_interrupted, NULL);
	return r;
}

void act_result(void *data, const struct uffdctl_result *result)
{
	struct act_row row = { result };
	_cleanup_free_ char *text = NULL;

	(void)data;
	if (table_row(act.table, &row) < 0)
		act.failed = true;
	if (result->error && uffdctl_escape(result->error_text, &text) == 0)
		error("%d: %" PRIx64 "-%" PRIx64 ": %s", act.pid, result->range.start, result->range.end, text);
}

int act_close(int r)
{
	if (r < 0)
		act.failed = true;
	if (table_close(act.table) < 0)
		act.failed = true;
	uffdctl_handle_close(act.handle);
	uffdctl_target_close(act.target);
	uffdctl_ranges_free(act.ranges);
	uffdctl_free(ctx());
	return act.failed ? EXIT_UNDONE : EXIT_DONE;
}

void col_act_pid(const void *row, struct cell *ret)
{
	(void)row;
	cell_number(ret, act.pid);
}

void col_act_start(const void *row, struct cell *ret)
{
	cell_address(ret, ((const struct act_row *)row)->result->range.start);
}

void col_act_end(const void *row, struct cell *ret)
{
	cell_address(ret, ((const struct act_row *)row)->result->range.end);
}

void col_act_error(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct act_row *)row)->result->error_text);
	ret->alert = true;
}
