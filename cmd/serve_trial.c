// SPDX-License-Identifier: GPL-2.0-or-later
/* Options of serve for trials: --delay, --jitter, --fail-page, --verify; and --stale. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/json.h"
#include "cmd/options.h"
#include "cmd/serve_trial.h"
#include "cmd/values.h"
#include "lib/cleanup.h"

enum {
	OPT_DELAY = 0x440,
	OPT_JITTER,
	OPT_FAIL_PAGE,
	OPT_VERIFY,
	OPT_STALE,
};

/* The name of what qemu-nbd --bitmap offers; ./qemu:… is a file. */
#define SERVER_BITMAP "qemu:dirty-bitmap:"

static const struct argp_option trial_options[] = {
	{ "stale", OPT_STALE, "FILE", 0,
	  "With --from, fill only the pages whose bit is set in FILE, and map all others as they are; qemu:dirty-bitmap:NAME is a bitmap of a server that --from names",
	  16 },
	{ "delay", OPT_DELAY, "TIME", 0, "For trials: resolve each fault TIME later (such as 2ms)", 40 },
	{ "jitter", OPT_JITTER, "TIME", 0, "For trials: and up to TIME, by chance, on top", 40 },
	{ "fail-page", OPT_FAIL_PAGE, "RANGE", 0, "For trials: poison these pages: who touches them gets SIGBUS", 40 },
	{ "verify", OPT_VERIFY, NULL, 0, "At the end, compare what was filled with its source", 40 },
	{}
};

static error_t add_range(struct serve_trial_options *o, const char *arg, const struct argp_state *state)
{
	if (!o->fail && uffdctl_ranges_new(invocation_of(state)->context, &o->fail) < 0)
		return ENOMEM;
	return uffdctl_ranges_add(o->fail, arg) < 0 ? EINVAL : 0;
}

static error_t parse_duration(const char *option, const char *arg, const struct argp_state *state, uint64_t *ret)
{
	return parse_time(arg, ret) < 0
		       ? usage_error(state, "--%s=%s: write a time such as 500us, 2ms or 1s", option, arg)
		       : 0;
}

static error_t parse_trial(int key, char *arg, struct argp_state *state)
{
	struct serve_trial_options *o = state->input;

	switch (key) {
	case OPT_DELAY:
		return parse_duration("delay", arg, state, &o->delay_ns);
	case OPT_JITTER:
		return parse_duration("jitter", arg, state, &o->jitter_ns);
	case OPT_FAIL_PAGE:
		return add_range(o, arg, state);
	case OPT_VERIFY:
		o->verify = true;
		return 0;
	case OPT_STALE:
		o->stale = arg;
		return *arg ? 0 : usage_error(state, "--stale=: write the path of a file, or " SERVER_BITMAP "NAME");
	case ARGP_KEY_ERROR:
		uffdctl_ranges_free(o->fail);
		o->fail = NULL;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp serve_trial_argp = { .options = trial_options, .parser = parse_trial };

/* ---- the bitmap ---- */

/* A bit for each 4 KiB of 16 TiB. */
#define MAX_BITMAP (INT64_C(512) << 20)

static int read_full(int fd, uint8_t *buf, uint64_t len)
{
	for (uint64_t done = 0; done < len;) {
		ssize_t n = read(fd, buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		done += (uint64_t)n;
	}
	return 0;
}

static int read_bitmap(const char *path, uint8_t **ret, uint64_t *ret_bytes)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > MAX_BITMAP)
		return -EFBIG;
	*ret_bytes = (uint64_t)st.st_size;
	*ret = malloc(*ret_bytes + 1);
	return *ret ? read_full(fd, *ret, *ret_bytes) : -ENOMEM;
}

int serve_trial_open(struct invocation *inv, const struct serve_trial_options *o, struct uffdctl_serve_opts *opts,
		     uint8_t **ret_stale)
{
	int r;

	opts->poison = o->fail;
	opts->flags |= o->verify ? UFFDCTL_SERVE_VERIFY : 0;
	if (!o->stale)
		return 0;
	if (!strncmp(o->stale, SERVER_BITMAP, strlen(SERVER_BITMAP))) {
		opts->stale_context = o->stale;
		return 0;
	}
	r = read_bitmap(o->stale, ret_stale, &opts->stale_bytes);
	opts->stale = *ret_stale;
	if (r < 0)
		error_errno(&inv->messages, r, "%s: %s%s", o->stale, strerror(-r),
			    r == -EINVAL ? ": not a regular file" : "");
	return r;
}

/* ---- verifying ---- */

static void print_differing(void *data, struct uffdctl_range range)
{
	struct serve_output *out = data;
	const struct invocation *inv = out->d->inv;
	json_object *o;

	if (!inv->verbose)
		return;
	if (!inv->style.json) {
		printf("differs: %" PRIx64 "-%" PRIx64 "\n", range.start, range.end);
		return;
	}
	o = json_object_new_object();
	json_text(o, "type", "differs");
	json_pid(o, "pid", out->d->options->pid);
	json_address(o, "start", range.start);
	json_address(o, "end", range.end);
	json_print(o);
}

static void print_object(const struct serve_output *out, const struct uffdctl_serve_verified *v)
{
	json_object *o = json_object_new_object();

	json_text(o, "type", "verify");
	json_pid(o, "pid", out->d->options->pid);
	json_number(o, "same", v->same_bytes);
	json_number(o, "differ", v->differ_bytes);
	json_number(o, "gone", v->gone_bytes);
	json_number(o, "unread", v->unread_bytes);
	json_print(o);
}

/* Why bytes may differ. */
static const char *causes(const struct serve_output *out)
{
	return out->keeps_elsewhere
		       ? "the process has changed them, --elsewhere=keep has left them as they were, or they are wrong"
		       : "the process has changed them, or they are wrong";
}

int serve_verify(struct serve_output *out, struct uffdctl_serve *s)
{
	struct uffdctl_serve_verified v = { .size = sizeof(v) };
	const struct invocation *inv = out->d->inv;
	int r;

	progress_end(&out->progress);
	r = uffdctl_serve_verify(s, print_differing, out, &v);
	if (r < 0)
		return r;
	if (inv->style.json)
		print_object(out, &v);
	else if (!inv->messages.quiet)
		printf("verified: %" PRIu64 " bytes are as in the source, %" PRIu64 " differ (%s), %" PRIu64
		       " are not there any more, %" PRIu64 " were not read\n",
		       v.same_bytes, v.differ_bytes, causes(out), v.gone_bytes, v.unread_bytes);
	return 0;
}
