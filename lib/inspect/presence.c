// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which pages of a mapping's file are in the page cache: asked without touching the target, and without making a page. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/inspect/pagecache.h"
#include "lib/inspect/presence.h"
#include "lib/kernel/cachestat.h"
#include "lib/kernel/holes.h"
#include "lib/kernel/mincore.h"
#include "lib/kernel/uffd.h"
#include "lib/util.h"
#include "lib/vma.h"

/* The kernel counts a page in some nanoseconds: no call should take long. */
#define COUNT_BYTES (UINT64_C(4) << 30)
/* A part of which some pages are in the page cache is asked for its single pages when it is this small. */
#define MINCORE_PAGES 16384

static int found(const struct presence_client *c, struct uffdctl_range range, enum uffdctl_page_state state)
{
	return c->found(c->arg, range, state, 0);
}

/* ---- cachestat: exact for shmem and guest_memfd, also for pages that were allocated and never written ---- */

/* What all unknown pages of a part are, if they are alike; UFFDCTL_PAGE_UNKNOWN: they are not. */
static enum uffdctl_page_state judge(uint64_t nr, uint64_t nr_known, uint64_t nr_mapped, const struct cached *in)
{
	if (in->nr_cached == nr && !in->nr_evicted)
		return UFFDCTL_PAGE_MINOR;
	if (in->nr_cached != nr_mapped)
		return UFFDCTL_PAGE_UNKNOWN;
	if (!in->nr_evicted)
		return UFFDCTL_PAGE_ABSENT;
	return in->nr_evicted == nr - nr_known ? UFFDCTL_PAGE_SWAPPED : UFFDCTL_PAGE_UNKNOWN;
}

/*
 * mincore(2) does not see pages that were never written, and sees some that are swapped out: its answer is right if
 * there are none of these.
 * Returns 1: answered; 0: not; or a negative errno.
 */
static int by_mincore(const struct presence *p, struct uffdctl_range range, const struct cached *in,
		      const struct presence_client *c)
{
	uint64_t page = base_page_size(), nr = range_len(range) / page, nr_there = 0, start = 0;
	uint8_t states[MINCORE_PAGES];
	int r = 0;

	if (nr > MINCORE_PAGES || in->nr_evicted || mincore_read(p->fd, vma_offset(p->v, range.start), nr, states) < 0)
		return 0;
	for (uint64_t i = 0; i < nr; i++)
		nr_there += states[i] & 1;
	if (nr_there != in->nr_cached)
		return 0;
	for (uint64_t i = 1; r >= 0 && i <= nr; i++) {
		struct uffdctl_range part = { range.start + start * page, range.start + i * page };

		if (i < nr && (states[i] & 1) == (states[start] & 1))
			continue;
		r = found(c, part, states[start] & 1 ? UFFDCTL_PAGE_MINOR : UFFDCTL_PAGE_ABSENT);
		start = i;
	}
	return r < 0 ? r : 1;
}

/* Bisects. The recursion is as deep as the logarithm of COUNT_BYTES in pages. */
/* NOLINTNEXTLINE(misc-no-recursion) */
static int by_count(const struct presence *p, struct uffdctl_range range, const struct presence_client *c)
{
	uint64_t page = base_page_size(), nr = range_len(range) / page, known, mapped;
	enum uffdctl_page_state state;
	struct cached in;
	uint64_t mid;
	int r;

	c->known(c->arg, range, &known, &mapped);
	if (known == range_len(range))
		return found(c, range, UFFDCTL_PAGE_UNKNOWN);
	r = cachestat_count(p->fd, vma_offset(p->v, range.start), range_len(range), &in);
	if (r < 0)
		return found(c, range, UFFDCTL_PAGE_UNKNOWN);
	state = judge(nr, known / page, mapped / page, &in);
	/* A single page that is both: it changes just now. */
	if (state != UFFDCTL_PAGE_UNKNOWN || nr == 1)
		return found(c, range, state);
	r = by_mincore(p, range, &in, c);
	if (r)
		return r < 0 ? r : 0;
	mid = range.start + nr / 2 * page;
	r = by_count(p, (struct uffdctl_range){ range.start, mid }, c);
	return r < 0 ? r : by_count(p, (struct uffdctl_range){ mid, range.end }, c);
}

static int find_counted(const struct presence *p, struct uffdctl_range range, const struct presence_client *c)
{
	int r = 0;

	for (uint64_t next; r >= 0 && range.start < range.end; range.start = next) {
		next = MIN(range.end, round_down(range.start, COUNT_BYTES) + COUNT_BYTES);
		r = by_count(p, (struct uffdctl_range){ range.start, next }, c);
	}
	return r;
}

/* ---- SEEK_DATA and mincore, without cachestat ---- */

/* @unseen: what those are that mincore(2) does not see */
static int find_seen(const struct presence *p, struct uffdctl_range range, enum uffdctl_page_state unseen,
		     const struct presence_client *c)
{
	uint64_t page = base_page_size();
	uint8_t states[MINCORE_PAGES];
	int r = 0;

	for (uint64_t nr; r >= 0 && range.start < range.end; range.start += nr * page) {
		nr = MIN(range_len(range) / page, (uint64_t)MINCORE_PAGES);
		if (mincore_read(p->fd, vma_offset(p->v, range.start), nr, states) < 0)
			return found(c, range, UFFDCTL_PAGE_UNKNOWN);
		for (uint64_t i = 0; r >= 0 && i < nr; i++) {
			uint64_t at = range.start + i * page;

			r = found(c, (struct uffdctl_range){ at, at + page },
				  states[i] & 1 ? UFFDCTL_PAGE_MINOR : unseen);
		}
	}
	return r;
}

static int find_data(const struct presence *p, struct uffdctl_range range, const struct presence_client *c)
{
	enum uffdctl_page_state hole = p->holes_are_absent ? UFFDCTL_PAGE_ABSENT : UFFDCTL_PAGE_UNKNOWN;
	uint64_t shift = vma_offset(p->v, range.start) - range.start, end;
	int r = 0;

	while (r >= 0 && range.start < range.end) {
		struct uffdctl_range data, part = range;

		if (holes_next_data(p->fd, range.start + shift, &data) < 0)
			return found(c, range, UFFDCTL_PAGE_UNKNOWN);
		part.end = data.end > data.start ? MIN(data.start - shift, range.end) : range.end;
		if (part.end > part.start)
			r = found(c, part, hole);
		end = MIN(round_up(data.end, base_page_size()) - shift, range.end);
		part = (struct uffdctl_range){ part.end, end };
		if (r >= 0 && part.end > part.start)
			r = find_seen(p, part, UFFDCTL_PAGE_SWAPPED, c); /* they have been written */
		range.start = MAX(part.start, part.end);
	}
	return r;
}

/* The file has as many blocks as all of its pages need, also the swapped ones. */
static bool all_is_written(int fd)
{
	uint64_t page = base_page_size(), bytes = 0, at = 0;
	struct uffdctl_range data;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	while (holes_next_data(fd, at, &data) == 0) {
		if (data.start == data.end)
			return bytes == (uint64_t)st.st_blocks * 512;
		bytes += round_up(data.end, page) - round_down(data.start, page);
		at = data.end;
	}
	return false;
}

/* ---- hugetlbfs ---- */

/* So much address space of our own at once. */
#define WINDOW_BYTES (UINT64_C(64) << 30)

static int next_huge(const struct presence *p, struct uffdctl_range own, struct uffdctl_range *left,
		     const struct presence_client *c)
{
	struct uffdctl_range rest = { own.end - range_len(*left), own.end }, part = *left;
	uint64_t done, mode = UFFDIO_CONTINUE_MODE_DONTWAKE;
	int err = uffd_continue(p->guard, rest, mode, &done);

	part.end = part.start + done;
	if (!done && err == -EAGAIN)
		return 0;
	if (!done)
		part.end += p->v->page_size;
	left->start = part.end;
	if (done)
		return found(c, part, UFFDCTL_PAGE_MINOR);
	if (err == -EIO || err == -EHWPOISON)
		return c->found(c->arg, part, UFFDCTL_PAGE_MINOR, UFFDCTL_MARK_POISONED);
	return found(c, part, err == -EFAULT ? UFFDCTL_PAGE_ABSENT : UFFDCTL_PAGE_UNKNOWN);
}

/* No huge page is reserved, and none is made. What was mapped is unmapped at once. */
static int find_huge_part(const struct presence *p, struct uffdctl_range range, const struct presence_client *c)
{
	uint64_t len = range_len(range);
	void *map = mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_NORESERVE, p->fd, (off_t)vma_offset(p->v, range.start));
	struct uffdctl_range own = { (uintptr_t)map, (uintptr_t)map + len };
	int r;

	if (map == MAP_FAILED)
		return found(c, range, UFFDCTL_PAGE_UNKNOWN);
	r = uffd_register(p->guard, own, UFFDIO_REGISTER_MODE_MINOR, NULL);
	if (r < 0)
		r = found(c, range, UFFDCTL_PAGE_UNKNOWN);
	else
		while (r >= 0 && range.start < range.end)
			r = next_huge(p, own, &range, c);
	munmap(map, len);
	return r;
}

static int find_huge(const struct presence *p, struct uffdctl_range range, const struct presence_client *c)
{
	int r = 0;

	for (uint64_t next; r >= 0 && range.start < range.end; range.start = next) {
		next = MIN(range.end, round_down(range.start, WINDOW_BYTES) + WINDOW_BYTES);
		r = find_huge_part(p, (struct uffdctl_range){ range.start, next }, c);
	}
	return r;
}

/* ---- the ways ---- */

static const char *why_not_opened(const struct uffdctl_vma *v, int err)
{
	if (err == -EOPNOTSUPP && v->memory == UFFDCTL_MEMORY_UNKNOWN)
		return "its file system is not known without BPF, and might block uffdctl";
	if (err == -EOPNOTSUPP)
		return "its file is not opened: only those of tmpfs, hugetlbfs and guest_memfd can't block uffdctl";
	if (err == -ESTALE)
		return "the mapping there has changed to another file";
	return "its file can't be opened (needs CAP_CHECKPOINT_RESTORE, or a descriptor of it that the process has open)";
}

/* On hugetlbfs, a mapping can be registered only if it might be written. */
static const char *open_huge(struct uffdctl_target *t, struct presence *p)
{
	int r = pagecache_try_open(t, p->v, true, &p->fd);

	if (r < 0)
		return why_not_opened(p->v, r);
	if (uffd_guard(&p->guard) < 0)
		return "no userfaultfd of our own can be made (needs /dev/userfaultfd, or vm.unprivileged_userfaultfd)";
	p->way = PRESENCE_CONTINUE;
	return NULL;
}

/* The descriptor may be a duplicate of the target's, whose file offset is not ours to move. */
static int open_data(struct presence *p)
{
	char self[64];
	int fd;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", p->fd);
	/* To write: mincore(2) tells the truth only to those who may. */
	fd = open(self, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	cleanup_close(&p->fd);
	p->fd = fd;
	p->holes_are_absent = all_is_written(fd);
	p->way = PRESENCE_DATA;
	return 0;
}

/* Those who may not write the file are told that all pages are there, also behind its end. */
static bool tells_the_truth(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && mincore_has(fd, round_up((uint64_t)st.st_size, base_page_size())) == 0;
}

static const char *open_cache(struct uffdctl_target *t, struct presence *p)
{
	int r = pagecache_try_open(t, p->v, false, &p->fd);
	struct cached in;

	if (r < 0)
		return why_not_opened(p->v, r);
	if (cachestat_count(p->fd, 0, base_page_size(), &in) >= 0)
		p->way = PRESENCE_COUNT;
	else if (p->v->memory == UFFDCTL_MEMORY_GUEST_MEMFD && tells_the_truth(p->fd))
		p->way = PRESENCE_MINCORE;
	else if (p->v->memory != UFFDCTL_MEMORY_SHMEM || open_data(p) < 0)
		return "cachestat(2) is not available, and its file can't be opened for writing";
	return NULL;
}

void presence_open(struct uffdctl_target *t, const struct uffdctl_vma *v, struct presence *ret)
{
	struct presence p = { .v = v, .way = PRESENCE_UNKNOWN, .fd = -1, .guard = -1 };

	if (v->memory == UFFDCTL_MEMORY_ANON)
		p.way = PRESENCE_NO_FILE;
	else if (v->memory == UFFDCTL_MEMORY_HUGETLB)
		p.why = open_huge(t, &p);
	else
		p.why = open_cache(t, &p);
	*ret = p;
}

/* A guest_memfd does not count its blocks. */
void presence_note_mapped(struct presence *p, uint64_t bytes)
{
	struct stat st;

	if ((p->way == PRESENCE_COUNT || p->way == PRESENCE_DATA || p->way == PRESENCE_CONTINUE) &&
	    p->v->memory != UFFDCTL_MEMORY_GUEST_MEMFD && vma_is_shared(p->v) && fstat(p->fd, &st) == 0 &&
	    (uint64_t)st.st_blocks * 512 == bytes)
		p->way = PRESENCE_NO_FILE;
}

void presence_close(struct presence *p)
{
	cleanup_close(&p->fd);
	cleanup_close(&p->guard);
}

/* In a private mapping, a page that is mapped need not be one of the file. */
bool presence_takes_known(const struct presence *p)
{
	return p->way == PRESENCE_NO_FILE || p->way == PRESENCE_UNKNOWN ||
	       (p->way == PRESENCE_COUNT && vma_is_shared(p->v));
}

int presence_find(const struct presence *p, struct uffdctl_range range, const struct presence_client *c)
{
	switch (p->way) {
	case PRESENCE_NO_FILE:
		return found(c, range, UFFDCTL_PAGE_ABSENT);
	case PRESENCE_COUNT:
		return find_counted(p, range, c);
	case PRESENCE_DATA:
		return find_data(p, range, c);
	case PRESENCE_MINCORE:
		return find_seen(p, range, UFFDCTL_PAGE_UNKNOWN, c); /* it may have been allocated, and never written */
	case PRESENCE_CONTINUE:
		return find_huge(p, range, c);
	default:
		return found(c, range, UFFDCTL_PAGE_UNKNOWN);
	}
}
