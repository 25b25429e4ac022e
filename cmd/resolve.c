// SPDX-License-Identifier: GPL-2.0-or-later
/* What the commands that resolve faults in bulk share: options, contents, columns, the sum. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd/progress.h"
#include "cmd/resolve.h"

static struct uffdctl_resolve_opts resolve_opts = { .from_fd = -1, .progress = progress_show };
static const char *from;
static bool from_zero;
static uint64_t mapped, absent, elsewhere;

void col_mapped(const void *row, struct cell *ret)
{
	cell_size(ret, ((const struct act_row *)row)->result->mapped);
}

void col_already(const void *row, struct cell *ret)
{
	cell_size(ret, ((const struct act_row *)row)->result->already);
}

void col_absent(const void *row, struct cell *ret)
{
	cell_size(ret, ((const struct act_row *)row)->result->absent);
}

void col_filled(const void *row, struct cell *ret)
{
	cell_size(ret, ((const struct act_row *)row)->result->filled);
}

void col_elsewhere(const void *row, struct cell *ret)
{
	cell_size(ret, ((const struct act_row *)row)->result->elsewhere);
}

const struct column made_columns[] = { { "PID", "process", COL_RIGHT, col_act_pid },
				       { "START", "first address", COL_RIGHT, col_act_start },
				       { "END", "address behind the last", COL_RIGHT, col_act_end },
				       { "MAPPED", "bytes that this command put pages in", COL_RIGHT, col_mapped },
				       { "ALREADY", "bytes that had pages already (EEXIST)", COL_RIGHT, col_already },
				       { "ABSENT", "bytes past the end of the file", COL_RIGHT, col_absent },
				       { "FILLED", "bytes of MAPPED that have contents of this command: all of them",
					 COL_RIGHT | COL_HIDDEN, col_filled },
				       { "ELSEWHERE", "not known here: pages are made, none is overwritten",
					 COL_RIGHT | COL_HIDDEN, col_elsewhere },
				       { "ERROR", "what kept the rest from being done, with its address", COL_WIDE,
					 col_act_error },
				       {} };

static const struct argp_option work_options[] = {
	{ "threads", 't', "N", 0, "Work with N threads; by default as many as there are CPUs to run on", 20 },
	{ "no-wake", OPT_NO_WAKE, NULL, 0, "Leave waiting threads asleep, until a wake", 20 },
	{}
};

#define BY_OFFSET                                                                                              \
	{                                                                                                      \
		"by-offset", OPT_BY_OFFSET, NULL, 0,                                                           \
			"Contents lie as in the file that is mapped, not end to end: FILE is an image of it", 15 \
	}

static const struct argp_option fill_options[] = {
	{ "from", OPT_FROM, "FILE[@OFFSET]", 0,
	  "Fill pages that are not mapped with these contents; - is standard input", 15 },
	{ "from-zero", OPT_FROM_ZERO, NULL, 0, "Likewise, with zeros", 15 },
	BY_OFFSET,
	{ "elsewhere", OPT_ELSEWHERE, "WHAT", 0,
	  "What to do with pages that are also mapped elsewhere: refuse (the default), overwrite or keep", 15 },
	{}
};

static const struct argp_option contents_options[] = {
	{ "from", OPT_FROM, "FILE[@OFFSET]", 0,
	  "Contents for the pages that are missing; - is standard input", 15 },
	{ "from-zero", OPT_FROM_ZERO, NULL, 0, "Likewise, zeros", 15 },
	BY_OFFSET,
	{}
};

static void parse_threads(const char *arg, struct argp_state *state)
{
	pid_t n;

	if (parse_pid(arg, &n) < 0 || n > 4096)
		argp_error(state, "--threads=%s: write a number from 1 to 4096", arg);
	resolve_opts.nr_threads = n;
}

static void parse_elsewhere(const char *arg, struct argp_state *state)
{
	static const char *const names[] = {
		[UFFDCTL_ELSEWHERE_REFUSE] = "refuse",
		[UFFDCTL_ELSEWHERE_OVERWRITE] = "overwrite",
		[UFFDCTL_ELSEWHERE_KEEP] = "keep",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(arg, names[i]))
			continue;
		resolve_opts.elsewhere = i;
		return;
	}
	argp_error(state, "--elsewhere=%s: write refuse, overwrite or keep", arg);
}

static void check_contents(struct argp_state *state)
{
	if (from && from_zero)
		argp_error(state, "--from and --from-zero exclude each other");
	if (resolve_opts.flags & UFFDCTL_BY_OFFSET && !from)
		argp_error(state, "--by-offset needs --from");
	if (resolve_opts.elsewhere && !from && !from_zero)
		argp_error(state, "--elsewhere needs --from or --from-zero");
	if (!from && !from_zero && common.cmd == &cmd_copy)
		argp_error(state, "no contents given: --from=FILE, --from=- (standard input) or --from-zero");
}

error_t resolve_parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 't':
		parse_threads(arg, state);
		return 0;
	case OPT_NO_WAKE:
		resolve_opts.flags |= UFFDCTL_NO_WAKE;
		return 0;
	case OPT_WP:
		resolve_opts.flags |= UFFDCTL_WRITE_PROTECT;
		return 0;
	case OPT_FORCE:
		resolve_opts.flags |= UFFDCTL_FORCE;
		return 0;
	case OPT_FROM:
		from = arg;
		return 0;
	case OPT_BY_OFFSET:
		resolve_opts.flags |= UFFDCTL_BY_OFFSET;
		return 0;
	case OPT_ELSEWHERE:
		parse_elsewhere(arg, state);
		return 0;
	case OPT_FROM_ZERO:
		from_zero = true;
		return 0;
	case ARGP_KEY_END:
		check_contents(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp work_argp = { .options = work_options, .parser = resolve_parse };
const struct argp fill_argp = { .options = fill_options, .parser = resolve_parse };
const struct argp contents_argp = { .options = contents_options, .parser = resolve_parse };

/* What was read of standard input before is not ours: contents begin where it stands. */
static int open_stdin(void)
{
	off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
	int flags = fcntl(STDIN_FILENO, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	resolve_opts.from_offset += at > 0 ? at : 0;
	resolve_opts.from_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	return resolve_opts.from_fd < 0 ? -errno : 0;
}

static int open_path(const char *path)
{
	resolve_opts.from_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return resolve_opts.from_fd < 0 ? -errno : 0;
}

static const char *contents_hint(int err, bool has_offset)
{
	switch (err) {
	case -ENOENT:
		return has_offset ? ": a file whose name ends in @NUMBER is written with @0 behind it" : "";
	case -EISDIR:
		return ": --from takes a file";
	case -EBADF:
		return ": standard input is closed, or not open for reading";
	default:
		return "";
	}
}

/* Behind the last @ stands an offset, if it is one: names may hold an @ too. */
static int open_contents(void)
{
	_cleanup_free_ char *path = strdup(from_zero ? "/dev/zero" : from), *name = NULL;
	char *at = path ? strrchr(path, '@') : NULL;
	struct stat st;
	int r;

	if (!path)
		return -ENOMEM;
	if (at && !from_zero && uffdctl_size_parse(at + 1, &resolve_opts.from_offset) == 0)
		*at = '\0';
	r = strcmp(path, "-") ? open_path(path) : open_stdin();
	if (r >= 0 && fstat(resolve_opts.from_fd, &st) == 0 && S_ISDIR(st.st_mode))
		r = -EISDIR;
	if (r < 0 && uffdctl_escape(path, &name) == 0)
		error("%s: %s%s", name, strerror(-r), contents_hint(r, at && !*at));
	return r;
}

static void add_result(void *data, const struct uffdctl_result *result)
{
	progress_end();
	if (result->mapped != UFFDCTL_UNKNOWN) {
		mapped += result->mapped;
		absent += result->absent;
		elsewhere += result->elsewhere;
	}
	act_result(data, result);
}

static void sum_up(int r, double s, const char *why_absent)
{
	progress_end();
	if (absent)
		error("%d: %" PRIu64 " bytes are absent: %s", act.pid, absent, why_absent);
	if (elsewhere)
		error("%d: %" PRIu64
		      " bytes are mapped elsewhere too, by this process or another, or swapped out, so that it can't be told: not written and not continued, and who waits there waits on; --elsewhere=overwrite writes and continues them, --elsewhere=keep continues them as they are",
		      act.pid, elsewhere);
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

int run_resolve(resolve_fn fn, const char *why_absent)
{
	double began;
	/* First: a file that does not open keeps us waiting with nothing of the process's in hand, and Ctrl-C ends it. */
	int opened = from || from_zero ? open_contents() : 0, r = act_open();

	r = r < 0 ? r : opened;
	resolve_opts.flags |= act.flags;
	if (r >= 0 && resolve_opts.flags & UFFDCTL_NO_WAKE)
		note("%d: with --no-wake, threads that wait in these ranges stay asleep until \"uffdctl wake\"",
		     act.pid);
	began = seconds();
	if (r >= 0) {
		r = fn(act.handle, act.ranges, &resolve_opts, add_result);
		sum_up(r, seconds() - began, why_absent);
	}
	cleanup_close(&resolve_opts.from_fd);
	return act_close(r);
}
