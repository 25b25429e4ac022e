// SPDX-License-Identifier: LGPL-2.1-or-later
/* The entries of a page table, as runs: PAGEMAP_SCAN (Linux 6.7), before that /proc/PID/pagemap. */
#include <errno.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "lib/kernel/pagescan.h"
#include "lib/kernel/uapi.h"
#include "lib/util.h"
#include "lib/vma.h"

/* Documentation/admin-guide/mm/pagemap.rst */
#define PM_PRESENT (UINT64_C(1) << 63)
#define PM_SWAP (UINT64_C(1) << 62)
#define PM_FILE (UINT64_C(1) << 61)
#define PM_GUARD (UINT64_C(1) << 58)
#define PM_UFFD_WP (UINT64_C(1) << 57)
#define PM_FRAME ((UINT64_C(1) << 55) - 1)

/*
 * include/linux/swap.h: of 32 swap types, the last one is for markers; at most 4 before it are for memory of devices, 3
 * for migration, and 1 each for pages with an error in the memory and, in Linux 6.1, in swap.
 */
#define SWP_TYPE(frame) ((frame)&31)
#define SWP_OFFSET(frame) ((frame) >> 5)
#define SWP_PTE_MARKER 31
#define SWP_FIRST_SPECIAL 22
/* include/linux/swapops.h */
#define PTE_MARKER_UFFD_WP 1
#define PTE_MARKER_POISONED 2
#define PTE_MARKER_MASK 7

/* A page that is being migrated has an entry again after some microseconds. */
#define LOOKS 3
#define LOOK_NS 500000
#define MAX_LOOKS_AGAIN 64

void pagescan_init(struct pagescan *s, int pagemap)
{
	s->pagemap = pagemap;
	s->no_ioctl = s->is_crowded = false;
	s->patience = MAX_LOOKS_AGAIN;
	s->nr = 0;
	s->end = 0;
}

/* UFFDIO_MOVE leaves the mark on swap entries on some kernels, so that it means nothing where it can't be set. */
static bool has_marks(const struct uffdctl_vma *v)
{
	return v->modes & (UFFDCTL_MODE_WP | UFFDCTL_MODE_RWP);
}

/* False: there is no room. */
static bool add(struct pagescan *s, uint64_t start, uint64_t end, unsigned int bits)
{
	struct entry_run *last = s->nr ? &s->runs[s->nr - 1] : NULL;

	if (!bits)
		return true;
	if (last && last->range.end == start && last->bits == bits) {
		last->range.end = end;
		return true;
	}
	if (s->nr == MAX_ENTRY_RUNS)
		return false;
	s->runs[s->nr++] = (struct entry_run){ { start, end }, bits };
	return true;
}

bool pagescan_add(struct pagescan *s, const struct entry_run *run)
{
	return add(s, run->range.start, run->range.end, run->bits);
}

/* ---- words of pagemap ---- */

static unsigned int marker_bits(uint64_t kinds, const struct uffdctl_vma *v)
{
	if (kinds & PTE_MARKER_POISONED)
		return ENTRY_MARKER | ENTRY_POISONED;
	return ENTRY_MARKER | (kinds & PTE_MARKER_UFFD_WP && has_marks(v) ? ENTRY_UFFD : 0);
}

/*
 * An entry in the swap format. Its type is shown only with CAP_SYS_ADMIN. Without that, in a shared mapping it is not
 * of a page that is swapped out, which would have no entry there, and a page that is being migrated has PM_FILE. In Linux
 * 6.1, the last type is that of an error of swap, with a frame, and markers are the one before.
 */
static unsigned int swap_bits(uint64_t e, unsigned int uffd, const struct uffdctl_vma *v)
{
	uint64_t frame = e & PM_FRAME;

	if (frame && SWP_TYPE(frame) == SWP_PTE_MARKER && SWP_OFFSET(frame) <= PTE_MARKER_MASK)
		return marker_bits(SWP_OFFSET(frame), v);
	if (frame && SWP_TYPE(frame) < SWP_FIRST_SPECIAL)
		return ENTRY_SWAPPED | uffd;
	if (e & PM_GUARD || (uffd && !(e & PM_FILE) && vma_is_shared(v)))
		return ENTRY_MARKER | uffd;
	return ENTRY_UNSURE | uffd;
}

unsigned int pagescan_word_bits(uint64_t word, const struct uffdctl_vma *v)
{
	unsigned int uffd = word & PM_UFFD_WP && has_marks(v) ? ENTRY_UFFD : 0;

	if (word & PM_PRESENT)
		return ENTRY_PRESENT | uffd;
	if (word & PM_SWAP)
		return swap_bits(word, uffd, v);
	return uffd ? ENTRY_MARKER | uffd : 0;
}

static ssize_t read_words(const struct pagescan *s, uint64_t addr, uint64_t *words, uint64_t nr)
{
	uint64_t bytes = nr * sizeof(*words);
	ssize_t got;

	do
		got = pread(s->pagemap, words, bytes, (off_t)(addr / base_page_size() * sizeof(*words)));
	while (got < 0 && errno == EINTR);
	if (got < (ssize_t)sizeof(*words))
		return got < 0 ? -errno : -ESRCH;
	return got / (ssize_t)sizeof(*words);
}

static unsigned int look_again(struct pagescan *s, uint64_t addr, const struct uffdctl_vma *v, unsigned int bits)
{
	const struct timespec pause = { 0, LOOK_NS };
	uint64_t word;

	for (int i = 0; i < LOOKS && s->patience && bits & ENTRY_UNSURE; i++, s->patience--) {
		nanosleep(&pause, NULL);
		if (read_words(s, addr, &word, 1) == 1)
			bits = pagescan_word_bits(word, v);
	}
	return bits;
}

/* Sets s->end to how far it came. */
static int by_words(struct pagescan *s, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	uint64_t words[4096], page = base_page_size();

	for (s->end = range.start; s->end < range.end;) {
		ssize_t nr = read_words(s, s->end, words, MIN(range_len(range) / page, (uint64_t)ARRAY_SIZE(words)));

		if (nr < 0)
			return (int)nr;
		nr = (ssize_t)MIN((uint64_t)nr, (range.end - s->end) / page);
		for (ssize_t i = 0; i < nr; i++, s->end += page) {
			unsigned int bits = pagescan_word_bits(words[i], v);

			if (bits & ENTRY_UNSURE && words[i] & (PM_FRAME | PM_FILE))
				bits = look_again(s, s->end, v, bits);
			if (!add(s, s->end, s->end + page, bits))
				return 0;
		}
	}
	return 0;
}

/* Before Linux 6.14, pagemap does not show marks of huge pages; and never whether one is being migrated. */
static int huge_by_words(struct pagescan *s, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	for (s->end = range.start; s->end < range.end; s->end += v->page_size) {
		uint64_t word;
		ssize_t nr = read_words(s, s->end, &word, 1);
		unsigned int bits;

		if (nr < 0)
			return (int)nr;
		bits = pagescan_word_bits(word, v) | (has_marks(v) ? ENTRY_NO_MARKS : 0);
		if (!add(s, s->end, s->end + v->page_size, bits))
			return 0;
	}
	return 0;
}

/* ---- PAGEMAP_SCAN ---- */

static bool is_huge(const struct uffdctl_vma *v)
{
	return v->page_size > base_page_size();
}

/* The category that says that an entry has no mark. */
static uint64_t unmarked(const struct uffdctl_vma *v)
{
	return v->modes & UFFDCTL_MODE_RWP ? PAGE_IS_ACCESSED : PAGE_IS_WRITTEN;
}

/*
 * In a huge page's entry, the swap format is a marker, or a page that is being migrated. Only with the mark it is known
 * to be a marker, since a page is not migrated for long.
 */
static unsigned int region_bits(uint64_t categories, const struct uffdctl_vma *v)
{
	unsigned int uffd = has_marks(v) && !(categories & unmarked(v)) ? ENTRY_UFFD : 0;

	if (categories & PAGE_IS_PRESENT)
		return ENTRY_PRESENT | uffd;
	return (uffd ? ENTRY_MARKER : ENTRY_UNSURE) | uffd;
}

/* A region whose entries have the swap format is read again as words, which tell more. */
static int add_region(struct pagescan *s, const struct page_region *r, const struct uffdctl_vma *v)
{
	if (r->categories & PAGE_IS_PRESENT || is_huge(v)) {
		s->end = add(s, r->start, r->end, region_bits(r->categories, v)) ? r->end : r->start;
		return 0;
	}
	return by_words(s, v, (struct uffdctl_range){ r->start, r->end });
}

/*
 * As many regions as do_pagemap_scan() gathers at once. If more are asked for, it gathers several times, and walk_end may
 * be that of an earlier time: what was found after that would be found again.
 */
#define MAX_REGIONS 512

static int scan(struct pagescan *s, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	struct page_region regions[MAX_REGIONS];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = range.start,
		.end = range.end,
		.vec = (uintptr_t)regions,
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED | (has_marks(v) ? unmarked(v) : 0),
	};

	while (arg.start < range.end && s->nr < MAX_ENTRY_RUNS) {
		int n, r = 0;

		arg.vec_len = MIN((size_t)MAX_ENTRY_RUNS - s->nr, ARRAY_SIZE(regions));
		n = ioctl(s->pagemap, PAGEMAP_SCAN, &arg);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (int i = 0; i < n; i++) {
			r = add_region(s, &regions[i], v);
			if (r < 0 || s->end < regions[i].end)
				return r;
		}
		if (arg.walk_end <= arg.start)
			return -EIO;
		s->end = arg.start = arg.walk_end;
	}
	return 0;
}

int pagescan_next(struct pagescan *s, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	int r = -ENOTTY;

	s->nr = 0;
	s->end = range.start;
	if (!s->no_ioctl)
		r = scan(s, v, range);
	s->no_ioctl |= r == -ENOTTY;
	if (r == -ENOTTY)
		r = is_huge(v) ? huge_by_words(s, v, range) : by_words(s, v, range);
	return r;
}
