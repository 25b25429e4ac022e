// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl continue and wake. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd.h"
#include "progress.h"

static struct uffdctl_continue_opts opts = { .from_fd = -1, .progress = progress_show };
static const char *from;
static bool from_zero;
static uint64_t mapped, absent;

static void get_mapped(const void *row, struct cell *ret)
{
	cell_size(ret, ((const struct act_row *)row)->result->mapped);
}

static void get_already(const void *row, struct cell *ret)
{
	cell_size(ret, ((const struct act_row *)row)->result->already);
}

static void get_absent(const void *row, struct cell *ret)
{
	cell_size(ret, ((const struct act_row *)row)->result->absent);
}

static const struct column continue_columns[] = {
	{ "PID", "process", COL_RIGHT, col_act_pid },
	{ "START", "first address", COL_RIGHT, col_act_start },
	{ "END", "address behind the last", COL_RIGHT, col_act_end },
	{ "MAPPED", "bytes that this command entered into the page table", COL_RIGHT, get_mapped },
	{ "ALREADY", "bytes that were mapped already (EEXIST)", COL_RIGHT, get_already },
	{ "ABSENT", "bytes without a page in the page cache (EFAULT)", COL_RIGHT, get_absent },
	{ "ERROR", "what kept the rest from being done, with its address", COL_WIDE, col_act_error },
	{}
};

static const struct column wake_columns[] = { { "PID", "process", COL_RIGHT, col_act_pid },
					      { "START", "first address", COL_RIGHT, col_act_start },
					      { "END", "address behind the last", COL_RIGHT, col_act_end },
					      { "MAPPED", "not known of a wake", COL_RIGHT | COL_HIDDEN, get_mapped },
					      { "ALREADY", "not known of a wake", COL_RIGHT | COL_HIDDEN, get_already },
					      { "ABSENT", "not known of a wake", COL_RIGHT | COL_HIDDEN, get_absent },
					      { "ERROR", "what went wrong", COL_WIDE, col_act_error },
					      {} };

enum {
	OPT_WP = 0x300,
	OPT_NO_WAKE,
	OPT_FROM,
	OPT_FROM_ZERO,
	OPT_FORCE,
};

static const struct argp_option continue_options[] = {
	{ "threads", 't', "N", 0, "Work with N threads; by default as many as there are CPUs to run on", 10 },
	{ "wp", OPT_WP, NULL, 0,
	  "Map the pages write-protected (UFFDIO_CONTINUE_MODE_WP); marks that are there stay without this", 10 },
	{ "no-wake", OPT_NO_WAKE, NULL, 0, "Leave waiting threads asleep, until a wake", 10 },
	{ "from", OPT_FROM, "FILE[@OFFSET]", 0,
	  "First fill pages that are not mapped with these contents, through a second mapping", 10 },
	{ "from-zero", OPT_FROM_ZERO, NULL, 0, "Likewise, with zeros", 10 },
	{ "force", OPT_FORCE, NULL, 0, "Fill although somebody else reads the userfaultfd's messages", 10 },
	{}
};

static void parse_threads(const char *arg, struct argp_state *state)
{
	pid_t n;

	if (parse_pid(arg, &n) < 0 || n > 4096)
		argp_error(state, "--threads=%s: write a number from 1 to 4096", arg);
	opts.nr_threads = n;
}

static error_t parse_continue(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 't':
		parse_threads(arg, state);
		return 0;
	case OPT_WP:
		opts.flags |= UFFDCTL_WRITE_PROTECT;
		return 0;
	case OPT_NO_WAKE:
		opts.flags |= UFFDCTL_NO_WAKE;
		return 0;
	case OPT_FROM:
		from = arg;
		return 0;
	case OPT_FROM_ZERO:
		from_zero = true;
		return 0;
	case OPT_FORCE:
		opts.flags |= UFFDCTL_FORCE;
		return 0;
	case ARGP_KEY_END:
		if (from && from_zero)
			argp_error(state, "--from and --from-zero exclude each other");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Behind the last @ stands an offset, if it is one: names may hold an @ too. */
static int open_source(void)
{
	_cleanup_free_ char *path = strdup(from_zero ? "/dev/zero" : from), *name = NULL;
	char *at = path ? strrchr(path, '@') : NULL;
	struct stat st;

	if (!path)
		return -ENOMEM;
	if (at && !from_zero && uffdctl_size_parse(at + 1, &opts.from_offset) == 0)
		*at = '\0';
	if (uffdctl_escape(path, &name) < 0)
		return -ENOMEM;
	opts.from_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (opts.from_fd < 0) {
		error("%s: %s", name, strerror(errno));
		return -errno;
	}
	if (fstat(opts.from_fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		error("%s: %s: --from takes a file", name, strerror(EISDIR));
		return -EISDIR;
	}
	return 0;
}

static void add_result(void *data, const struct uffdctl_result *result)
{
	progress_end();
	if (result->mapped != UFFDCTL_UNKNOWN) {
		mapped += result->mapped;
		absent += result->absent;
	}
	act_result(data, result);
}

static void sum_up(int r, double s)
{
	progress_end();
	if (absent)
		error("%d: %" PRIu64
		      " bytes are absent: the page cache has no page there (--from and --from-zero fill such pages, except past the end of the file)",
		      act.pid, absent);
	if (r == -EINTR)
		error("%d: interrupted: %" PRIu64 " bytes were mapped, the rest is as it was", act.pid, mapped);
	if (common.verbose)
		note("%d: mapped %" PRIu64 " bytes in %.6f s (%.1f MiB/s)", act.pid, mapped, s,
		     s > 0 ? mapped / s / (1 << 20) : 0);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static int run_continue(void)
{
	double began;
	int r = 0;

	if (from || from_zero)
		r = open_source();
	if (r < 0)
		return EXIT_UNDONE;
	r = act_open();
	opts.flags |= act.flags;
	if (r >= 0 && opts.flags & UFFDCTL_NO_WAKE)
		note("%d: with --no-wake, threads that wait in these ranges stay asleep until \"uffdctl wake\"",
		     act.pid);
	began = seconds();
	if (r >= 0) {
		r = uffdctl_continue(act.handle, act.ranges, &opts, add_result);
		sum_up(r, seconds() - began);
	}
	cleanup_close(&opts.from_fd);
	return act_close(r);
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
	.parse = parse_continue,
	.children =
		(const struct argp_child[]){
			{ &act_argp, 0, NULL, 0 }, { &progress_argp, 0, NULL, 0 }, { &common_argp, 0, NULL, 0 }, {} },
	.columns = continue_columns,
	.run = run_continue,
};

const struct cmd cmd_wake = {
	.name = "wake",
	.summary = "Wake the threads that wait in ranges: they try again",
	.args = "PID RANGE...",
	.children = (const struct argp_child[]){ { &act_argp, 0, NULL, 0 }, { &common_argp, 0, NULL, 0 }, {} },
	.columns = wake_columns,
	.run = run_wake,
};
