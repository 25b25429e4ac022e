// SPDX-License-Identifier: LGPL-2.1-or-later
/* The contents that pages are filled with: a file, a device, data from a pipe, or a server. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/drive/contents.h"
#include "lib/drive/nbd.h"
#include "lib/log.h"
#include "lib/util.h"

#define SPOOL_BYTES (UINT64_C(64) << 10)

static int is_stopped(void *data)
{
	const struct contents *c = data;

	return (c->stop && __atomic_load_n(c->stop, __ATOMIC_RELAXED)) || (c->asks && c->asks(c->data));
}

static int read_nbd(const struct contents *c, uint64_t at, void *buf, uint64_t len, uint64_t *done)
{
	int r = nbd_image_read(c->nbd, c->offset + at, buf, len, c->background ? NBD_BACKGROUND : 0, is_stopped,
			       (void *)c);

	*done = r < 0 ? 0 : len;
	return r;
}

int contents_read(const struct contents *c, uint64_t at, void *buf, uint64_t len, uint64_t *done)
{
	if (c->zero) {
		memset(buf, 0, len);
		*done = len;
		return 0;
	}
	if (c->nbd)
		return read_nbd(c, at, buf, len, done);
	for (*done = 0; *done < len;) {
		ssize_t n = pread(c->fd, (char *)buf + *done, len - *done, (off_t)(c->offset + at + *done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		*done += n;
	}
	return 0;
}

static int too_short(struct uffdctl *u, uint64_t there, uint64_t offset, uint64_t need)
{
	return fail(u, -ENODATA,
		    "the contents are too short: %" PRIu64 " bytes from offset %" PRIu64
		    " on, the ranges need %" PRIu64,
		    there, offset, need);
}

/* ---- pipes ---- */

#define PROGRESS_NS UINT64_C(100000000)

/*
 * The writer may be slow or never write: wait for it in a way that progress can stop.
 * @told_ns: in and out, when progress was called
 */
static int wait_readable(const struct uffdctl_action_opts *opts, uint64_t done, uint64_t need, uint64_t *told_ns)
{
	struct pollfd p = { .fd = opts->from_fd, .events = POLLIN };
	uint64_t now;
	int r;

	do {
		now = now_ns(CLOCK_MONOTONIC);
		if (opts->progress && now - *told_ns >= PROGRESS_NS) {
			*told_ns = now;
			if (opts->progress(opts->data, done, need))
				return -EINTR;
		}
		r = poll(&p, 1, 100);
	} while (r == 0 || (r < 0 && errno == EINTR));
	return r < 0 ? -errno : 0;
}

static int write_full(int fd, const char *buf, size_t len)
{
	for (ssize_t n; len; buf += n, len -= n) {
		n = write(fd, buf, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		n = MAX(n, (ssize_t)0);
	}
	return 0;
}

/* @done: out, bytes that were read, including those before from_offset */
static int spool(const struct uffdctl_action_opts *opts, uint64_t need, int fd, uint64_t *done)
{
	uint64_t skip = opts->from_offset, told_ns = 0;
	char buf[SPOOL_BYTES];
	int r = 0;

	for (*done = 0; *done < skip + need && r >= 0;) {
		uint64_t want = *done < skip ? skip - *done : skip + need - *done;
		ssize_t n;

		r = wait_readable(opts, MAX(*done, skip) - skip, need, &told_ns);
		if (r < 0)
			return r;
		n = read(opts->from_fd, buf, MIN(want, (uint64_t)sizeof(buf)));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		if (*done >= skip)
			r = write_full(fd, buf, n);
		*done += n;
	}
	return r;
}

static int open_pipe(struct uffdctl *u, const struct uffdctl_action_opts *opts, uint64_t need, struct contents *ret)
{
	_cleanup_close_ int fd = -1;
	uint64_t done;
	int r;

	if (opts->flags & UFFDCTL_ACTION_DRY_RUN)
		return 0;
	fd = memfd_create("uffdctl-contents", MFD_CLOEXEC);
	if (fd < 0)
		return fail(u, -errno, "the contents: memfd_create: %s", strerror(errno));
	r = spool(opts, need, fd, &done);
	if (r == -ENODATA)
		return too_short(u, MAX(done, opts->from_offset) - opts->from_offset, opts->from_offset, need);
	if (r < 0 && r != -EINTR)
		return fail(u, r, "the contents: %s%s", strerror(-r),
			    r == -EFBIG ? " (data from a pipe is kept in memory, as a file: see ulimit -f)" : "");
	if (r < 0)
		return r;
	*ret = (struct contents){ .fd = steal_fd(fd), .ours = true, .size = need };
	return 0;
}

/* ---- devices ---- */

/* The length of a device is not known: a dry run only checks that one byte can be read. */
static int open_device(struct uffdctl *u, const struct uffdctl_action_opts *opts, uint64_t need, struct contents *ret)
{
	uint64_t done;
	char byte;
	int r = 0;

	if (opts->flags & UFFDCTL_ACTION_DRY_RUN && need)
		r = contents_read(ret, 0, &byte, 1, &done);
	return r < 0 ? fail(u, r, "the contents: %s", r == -ENODATA ? "input is empty" : strerror(-r)) : 0;
}

/* ---- files ---- */

static int check_size(struct uffdctl *u, const struct uffdctl_action_opts *opts, uint64_t need, uint64_t size)
{
	if (opts->from_offset > size || size - opts->from_offset < need)
		return too_short(u, MAX(size, opts->from_offset) - opts->from_offset, opts->from_offset, need);
	if (!opts->from_offset && !(opts->flags & UFFDCTL_ACTION_BY_OFFSET) && need && size > need)
		log_notice(u, "the ranges use only the first %" PRIu64 " of %" PRIu64 " bytes of the contents", need,
			   size);
	return 0;
}

static int open_file(struct uffdctl *u, const struct uffdctl_action_opts *opts, uint64_t need, struct contents *ret)
{
	/* The descriptor belongs to the caller: keep its file offset. */
	off_t at = lseek(ret->fd, 0, SEEK_CUR), end = at < 0 ? at : lseek(ret->fd, 0, SEEK_END);

	if (end < 0 || lseek(ret->fd, at, SEEK_SET) < 0)
		return fail(u, -errno, "the contents: %s (needs a file, a device or a pipe)", strerror(errno));
	ret->size = MAX((uint64_t)end, opts->from_offset) - opts->from_offset;
	return check_size(u, opts, need, (uint64_t)end);
}

/* ---- servers ---- */

static int ask_to_stop(void *data)
{
	const struct uffdctl_action_opts *opts = data;

	return opts->progress && opts->progress(opts->data, 0, 0);
}

static int open_uri(struct uffdctl *u, const struct uffdctl_action_opts *opts, uint64_t need, struct contents *ret)
{
	int r = nbd_image_open(u, opts->from_uri, ret->context, ask_to_stop, (void *)opts, &ret->nbd);

	if (r >= 0) {
		ret->offset = opts->from_offset;
		ret->size = MAX(nbd_image_size(ret->nbd), opts->from_offset) - opts->from_offset;
		r = check_size(u, opts, need, nbd_image_size(ret->nbd));
	}
	return r;
}

/* ---- all ---- */

static bool is_pipe(int fd, const struct stat *st)
{
	(void)st;
	return lseek(fd, 0, SEEK_CUR) < 0 && errno == ESPIPE;
}

bool contents_are_piped(const struct uffdctl_action_opts *opts)
{
	return opts->contents == UFFDCTL_CONTENTS_FD && is_pipe(opts->from_fd, NULL);
}

static bool is_device(int fd, const struct stat *st)
{
	(void)fd;
	return S_ISCHR(st->st_mode);
}

static bool is_any(int fd, const struct stat *st)
{
	(void)fd, (void)st;
	return true;
}

/* The first that matches is used. */
static const struct {
	bool (*is)(int fd, const struct stat *st);
	int (*open)(struct uffdctl *u, const struct uffdctl_action_opts *opts, uint64_t need, struct contents *ret);
} kinds[] = {
	{ is_pipe, open_pipe },
	{ is_device, open_device },
	{ is_any, open_file },
};

int contents_open(struct uffdctl *u, const struct uffdctl_action_opts *opts, uint64_t need, struct contents *ret)
{
	int fd = opts->from_fd;
	struct stat st;
	size_t i = 0;

	*ret = (struct contents){ .fd = -1, .zero = opts->contents == UFFDCTL_CONTENTS_ZERO, .context = ret->context };
	if (opts->contents == UFFDCTL_CONTENTS_URI)
		return open_uri(u, opts, need, ret);
	if (opts->contents != UFFDCTL_CONTENTS_FD)
		return 0;
	*ret = (struct contents){ .fd = fd, .offset = opts->from_offset };
	if (fstat(fd, &st) < 0)
		return fail(u, -errno, "the contents: %s", strerror(errno));
	/* pread(2) takes an off_t: a larger offset would be converted to another one. */
	if (opts->from_offset > INT64_MAX || need > INT64_MAX - opts->from_offset)
		return fail(u, -EOVERFLOW,
			    "the contents: offset %" PRIu64 " and %" PRIu64
			    " bytes are beyond the end of any file (2^63 bytes)",
			    opts->from_offset, need);
	while (!kinds[i].is(fd, &st))
		i++;
	return kinds[i].open(u, opts, need, ret);
}

void contents_close(struct contents *c)
{
	if (c->ours)
		cleanup_close(&c->fd);
	nbd_image_close(c->nbd);
	*c = (struct contents){ .fd = -1 };
}
