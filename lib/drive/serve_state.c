// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Serving: a file with the states of pages, for the handler that comes after this one.
 *
 * The states are a shared mapping of the file, so that they survive even SIGKILL. A header says whose they are; behind
 * it, page by page, come the states of each store. The file is of use as long as the process lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/drive/serve_image.h"
#include "lib/drive/serve_state.h"
#include "lib/kernel/proc.h"
#include "lib/log.h"

#define MAGIC "uffdctl serve 2\n"
#define MAX_STORES 120
#define HEADER_BYTES 4096

struct header {
	char magic[16];
	char boot_id[40];
	uint64_t pid, start_time;
	uint64_t reading; /* how many memories: an event of theirs may not be marked yet */
	uint64_t images;  /* what is in them */
	uint64_t nr;
	struct {
		uint64_t inode, first, nr, page_size;
	} stores[MAX_STORES];
};

_Static_assert(sizeof(struct header) <= HEADER_BYTES, "the header is too long");

static int bad_file(const struct uffdctl_serve *s, int err, const char *text)
{
	return fail(s->h->t->u, err, "%s: %s", s->opts.state, text);
}

/* Field 22 of /proc/PID/stat; the name may hold anything. */
static int read_start_time(struct uffdctl_target *t, uint64_t *ret)
{
	char buf[1024];
	int r = proc_read(t->procfd, "stat", buf, sizeof(buf));
	const char *p = r < 0 ? NULL : strrchr(buf, ')');

	for (int i = 2; p && i < 22; i++)
		p = strchr(p + 1, ' ');
	if (!p)
		return r < 0 ? r : -EINVAL;
	*ret = strtoull(p + 1, NULL, 10);
	return 0;
}

/* What has no size, as zeros and devices, is not looked at. */
static int identify_images(struct uffdctl_serve *s, uint64_t *ret)
{
	uint64_t id = 0;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < s->nr_images; i++) {
		if (s->images[i].contents.size)
			r = image_identify(s, &s->images[i], &id);
		*ret = *ret * 31 + id;
	}
	return r;
}

static int fill_header(struct uffdctl_serve *s, struct header *h)
{
	int r = proc_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", h->boot_id, sizeof(h->boot_id));

	memcpy(h->magic, MAGIC, sizeof(h->magic));
	h->pid = s->h->t->pid;
	if (r >= 0)
		r = read_start_time(s->h->t, &h->start_time);
	if (r < 0)
		return fail(s->h->t->u, r, "%d: /proc/%d/stat: %s", s->h->t->pid, s->h->t->pid, strerror(-r));
	r = identify_images(s, &h->images);
	if (r < 0)
		return r;
	for (const struct serve_store *st = s->stores; st; st = st->next) {
		if (h->nr == MAX_STORES)
			return fail(s->h->t->u, -E2BIG, "%d: too many mappings for --state: %d can be recorded",
				    s->h->t->pid, MAX_STORES);
		h->stores[h->nr].inode = st->vma ? st->vma->inode : 0;
		h->stores[h->nr].first = st->first;
		h->stores[h->nr].nr = st->nr;
		h->stores[h->nr++].page_size = st->page_size;
	}
	return 0;
}

static uint64_t bytes_of(const struct serve_store *st)
{
	return round_up(st->nr, base_page_size());
}

/* ---- the file ---- */

static int open_file(struct uffdctl_serve *s)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct stat st;

	s->state_fd = open(s->opts.state, flags | O_CREAT | O_EXCL, 0600);
	s->state_is_new = s->state_fd >= 0;
	if (s->state_fd < 0 && errno == EEXIST)
		s->state_fd = open(s->opts.state, flags);
	if (s->state_fd < 0 || fstat(s->state_fd, &st) < 0)
		return bad_file(s, -errno,
				errno == ELOOP ? "it is a symbolic link: write the path of the file itself"
					       : strerror(errno));
	return S_ISREG(st.st_mode) ? 0 : bad_file(s, -EINVAL, "not a regular file");
}

/* All of it is allocated now: a full file system must not end us with SIGBUS later. */
static int make_file(const struct uffdctl_serve *s, const struct header *h, uint64_t size)
{
	struct stat was;
	int err = fstat(s->state_fd, &was) < 0 ? errno : posix_fallocate(s->state_fd, 0, (off_t)size);

	if (err) {
		if (!s->state_is_new && ftruncate(s->state_fd, was.st_size) < 0)
			log_debug(s->h->t->u, "%s: %s", s->opts.state, strerror(errno));
		return fail(s->h->t->u, -err, "%s: %s: --state needs a file of %" PRIu64 " bytes%s", s->opts.state,
			    strerror(err), size,
			    err == ENOSPC ? ": name one where there is room, such as in /run" : "");
	}
	/* The header last: without it the file is empty to the next one. */
	if (pwrite(s->state_fd, h, sizeof(*h), 0) != (ssize_t)sizeof(*h))
		return bad_file(s, -errno, strerror(errno));
	return 0;
}

/* 1: as one whose making was cut short; 0: it has something in it. */
static int is_blank(const struct uffdctl_serve *s)
{
	static const char zeros[4096];
	char buf[sizeof(zeros)];
	ssize_t n;

	for (off_t at = 0; (n = pread(s->state_fd, buf, sizeof(buf), at)) > 0; at += n)
		if (memcmp(buf, zeros, n) != 0)
			return 0;
	return n < 0 ? bad_file(s, -errno, strerror(errno)) : 1;
}

/* 1: it has states of these ranges; 0: it is new, or was begun. */
static int check_file(const struct uffdctl_serve *s, const struct header *want, uint64_t size)
{
	struct header has = {};
	ssize_t n = pread(s->state_fd, &has, sizeof(has), 0);
	struct stat st;
	int blank = 0;

	if (n < 0 || fstat(s->state_fd, &st) < 0)
		return bad_file(s, -errno, strerror(errno));
	if (!has.magic[0] && (uint64_t)st.st_size <= size)
		blank = is_blank(s);
	if (blank)
		return MIN(blank, 0);
	if (memcmp(has.magic, MAGIC, sizeof(has.magic)) != 0)
		return bad_file(s, -EUCLEAN, "is not what --state writes: name another file");
	if (memcmp(has.boot_id, want->boot_id, sizeof(has.boot_id)) != 0 || has.pid != want->pid ||
	    has.start_time != want->start_time)
		return bad_file(s, -EUCLEAN, "was written for another process: remove it, or name another file");
	if (has.reading)
		return bad_file(
			s, -EUCLEAN,
			"its writer was killed in the moment in which it read an event: what the process has removed is not wholly known (remove the file, and all that is absent is filled from the image)");
	if (has.images != want->images)
		return bad_file(
			s, -EUCLEAN,
			"was written with other contents: give the same ones, or remove the file and all that is absent is filled from these");
	if (memcmp(&has, want, sizeof(has)) != 0 || (uint64_t)st.st_size != size)
		return bad_file(s, -EUCLEAN, "was written for other ranges: give the same ones, in the same order");
	return 1;
}

/* ---- the states ---- */

/* What was being filled, or could not be, is to be filled. */
static void take_over(struct serve_store *st)
{
	for (uint64_t i = 0; i < st->nr; i++) {
		uint8_t state = st->states[i] & ~SERVE_COUNTED;

		st->states[i] = state == SERVE_DONE || state == SERVE_REMOVED ? state : SERVE_NEW;
	}
}

static int map_header(struct uffdctl_serve *s)
{
	struct header *h = mmap(NULL, HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s->state_fd, 0);

	if (h == MAP_FAILED)
		return bad_file(s, -errno, strerror(errno));
	s->state_header = h;
	return 0;
}

static int map_stores(struct uffdctl_serve *s, bool has_states)
{
	uint64_t at = HEADER_BYTES;
	int r = map_header(s);

	for (struct serve_store *st = s->stores; r >= 0 && st; st = st->next) {
		void *p = mmap(NULL, st->nr, PROT_READ | PROT_WRITE, MAP_SHARED, s->state_fd, (off_t)at);

		if (p == MAP_FAILED)
			return bad_file(s, -errno, strerror(errno));
		munmap(st->states, st->nr);
		st->states = p;
		at += bytes_of(st);
		if (has_states)
			take_over(st);
	}
	return r;
}

int state_open(struct uffdctl_serve *s)
{
	struct header h = {};
	uint64_t size = HEADER_BYTES;
	int r;

	if (!s->opts.state || s->opts.flags & UFFDCTL_SERVE_DRY_RUN)
		return 0;
	if (!s->stores)
		return fail(s->h->t->u, -EINVAL, "%d: --keep fills nothing: --state has nothing to record",
			    s->h->t->pid);
	for (const struct serve_store *st = s->stores; st; st = st->next)
		size += bytes_of(st);
	r = fill_header(s, &h);
	if (r >= 0)
		r = open_file(s);
	if (r >= 0)
		r = check_file(s, &h, size);
	if (r < 0)
		return r;
	if (r == 0) {
		r = make_file(s, &h, size);
		return r < 0 ? r : map_stores(s, false);
	}
	return map_stores(s, true);
}

void state_reads(struct uffdctl_serve *s, bool reads)
{
	struct header *h = s->state_header;

	if (h)
		__atomic_fetch_add(&h->reading, reads ? 1 : -1, __ATOMIC_SEQ_CST);
}

void state_remove(struct uffdctl_serve *s)
{
	if (s->state_fd >= 0)
		unlink(s->opts.state);
}

void state_close(struct uffdctl_serve *s)
{
	/* Nothing was filled: the file says nothing. */
	if (s->state_is_new && !s->began_ns)
		state_remove(s);
	if (s->state_header)
		munmap(s->state_header, HEADER_BYTES);
	s->state_header = NULL;
	cleanup_close(&s->state_fd);
}
