// SPDX-License-Identifier: GPL-2.0-or-later
/* The working sets of serve: --record-set, --prefetch-set. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/replace.h"
#include "cmd/serve_set.h"
#include "cmd/usage.h"
#include "cmd/values.h"
#include "lib/cleanup.h"

enum {
	OPT_RECORD_SET = 0x420,
	OPT_PREFETCH_SET,
	OPT_SET_TIME,
	OPT_SET_SIZE,
};

#define DEFAULT_TIME_NS (UINT64_C(300) * 1000000000)

static const struct argp_option set_options[] = {
	{ "record-set", OPT_RECORD_SET, "FILE", 0,
	  "With --from, record in FILE what is touched, in the order of the first touch", 30 },
	{ "set-time", OPT_SET_TIME, "TIME", 0, "Record for TIME at most (such as 10s; the default is 300s)", 30 },
	{ "set-size", OPT_SET_SIZE, "BYTES", 0, "Record BYTES of touched memory at most (such as 2G)", 30 },
	{ "prefetch-set", OPT_PREFETCH_SET, "FILE", 0,
	  "With --from, bring in what FILE, which --record-set has written, says, in its order", 30 },
	{}
};

static error_t parse_set(int key, char *arg, struct argp_state *state)
{
	struct serve_set_options *o = state->input;

	switch (key) {
	case OPT_RECORD_SET:
		o->record = arg;
		return *arg ? 0 : usage_error(state, "--record-set=: write the path of a file");
	case OPT_PREFETCH_SET:
		o->prefetch = arg;
		return *arg ? 0 : usage_error(state, "--prefetch-set=: write the path of a file");
	case OPT_SET_TIME:
		if (parse_time(arg, &o->time_ns) < 0 || !o->time_ns)
			return usage_error(state, "--set-time=%s: write a time such as 500ms, 10s or 5m", arg);
		return 0;
	case OPT_SET_SIZE:
		if (uffdctl_size_parse(arg, &o->bytes) < 0 || !o->bytes)
			return usage_error(state, "--set-size=%s: write bytes, such as 100M or 2G", arg);
		return 0;
	case ARGP_KEY_END:
		if ((o->time_ns || o->bytes) && !o->record)
			return usage_error(state, "--set-time and --set-size need --record-set");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp serve_set_argp = { .options = set_options, .parser = parse_set };

/* ---- the file ---- */

/* Beside it, so that it can be renamed into place. */
static int make_temporary(struct invocation *inv, const char *path, char **ret_path, int *ret)
{
	int err;

	if (asprintf(ret_path, "%s.XXXXXX", path) < 0) {
		*ret_path = NULL;
		error(&inv->messages, "out of memory");
		return -ENOMEM;
	}
	*ret = mkstemp(*ret_path);
	err = *ret < 0 ? -errno : 0;
	if (err < 0)
		error_errno(&inv->messages, err, "%s: a file beside it can't be made: %s", path, strerror(-err));
	return err;
}

static int check_writable(struct invocation *inv, const char *path)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_close_ int fd = -1;
	int r = check_replaceable(path, &inv->messages);

	if (r >= 0)
		r = make_temporary(inv, path, &temporary, &fd);
	if (r >= 0)
		unlink(temporary);
	return r;
}

int serve_set_open(struct invocation *inv, const struct serve_set_options *o, struct uffdctl_serve_opts *opts,
		   struct uffdctl_workset **ret)
{
	int r = o->prefetch ? uffdctl_workset_read(inv->context, o->prefetch, ret) : 0;

	opts->prefetch = *ret;
	if (r < 0 || !o->record)
		return r;
	opts->flags |= UFFDCTL_SERVE_RECORD_SET;
	opts->set_ns = o->time_ns ?: DEFAULT_TIME_NS;
	opts->set_bytes = o->bytes;
	return opts->flags & UFFDCTL_SERVE_DRY_RUN ? 0 : check_writable(inv, o->record);
}

/* mkstemp(3) lets nobody else read it. */
static int set_mode(int fd)
{
	mode_t mask = umask(0);

	umask(mask);
	return fchmod(fd, 0666 & ~mask);
}

static int write_file(struct invocation *inv, const char *path, const struct uffdctl_workset *set)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_close_ int fd = -1;
	int r = make_temporary(inv, path, &temporary, &fd);

	if (r < 0)
		return r;
	r = uffdctl_workset_write(set, fd);
	if (r >= 0 && (set_mode(fd) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0)) {
		r = -errno;
		error_errno(&inv->messages, r, "%s: %s", path, strerror(-r));
	}
	if (r < 0)
		unlink(temporary);
	return r;
}

int serve_set_write(struct invocation *inv, const struct serve_set_options *o, struct uffdctl_serve *s)
{
	struct uffdctl_workset *set = NULL;
	int r = uffdctl_serve_workset(s, &set);

	if (r >= 0)
		r = write_file(inv, o->record, set);
	if (r < 0)
		error_errno(&inv->messages, r, "%s: not written: what was recorded is lost", o->record);
	uffdctl_workset_free(set);
	return r;
}
