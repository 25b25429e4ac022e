// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which pages a mapping has in its page table, and which carry a write-protect mark. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/kernel/pagemap.h"
#include "lib/kernel/uapi.h"
#include "lib/util.h"
#include "lib/vma.h"

/* Documentation/admin-guide/mm/pagemap.rst */
#define PM_PRESENT (UINT64_C(1) << 63)
#define PM_SWAP (UINT64_C(1) << 62)
#define PM_FILE (UINT64_C(1) << 61)
#define PM_GUARD (UINT64_C(1) << 58)
#define PM_UFFD_WP (UINT64_C(1) << 57)
#define PM_MMAP_EXCLUSIVE (UINT64_C(1) << 56)
#define PM_FRAME ((UINT64_C(1) << 55) - 1)

/* include/linux/swap.h: the last of 32 swap types; include/linux/swapops.h: its bits. */
#define SWP_TYPE(frame) ((frame)&31)
#define SWP_OFFSET(frame) ((frame) >> 5)
#define SWP_PTE_MARKER 31
#define PTE_MARKER_UFFD_WP 1
#define PTE_MARKER_POISONED 2

int pagemap_open(struct uffdctl_target *t, int *ret)
{
	return target_open_file(t, "pagemap", O_RDONLY, ret);
}

static uint8_t marker_state(uint64_t kinds)
{
	return kinds == PTE_MARKER_UFFD_WP ? PTE_WP : PTE_MAPPED | (kinds & PTE_MARKER_POISONED ? PTE_POISONED : 0);
}

/*
 * If there is no page, the entry may have the swap format: for a page that is swapped out or being migrated, or for a
 * marker. The frame contains the type, but is shown only with CAP_SYS_ADMIN. Without it, the other bits must do: file
 * pages under migration have PM_FILE, and swapped pages of a shared mapping have no entry at all.
 */
static uint8_t swap_state(uint64_t e, const struct uffdctl_vma *v)
{
	uint64_t frame = e & PM_FRAME;

	if (frame && SWP_TYPE(frame) == SWP_PTE_MARKER)
		return marker_state(SWP_OFFSET(frame));
	/* Linux 6.1: the last type is that of an error of swap. */
	if (SWP_TYPE(frame) == SWP_PTE_MARKER - 1 && SWP_OFFSET(frame) == PTE_MARKER_UFFD_WP && e & PM_UFFD_WP)
		return PTE_WP;
	if (!frame && !(e & (PM_UFFD_WP | PM_FILE | PM_GUARD)) && vma_is_shared(v))
		return PTE_MAPPED | PTE_POISONED;
	if (frame || !(e & PM_UFFD_WP))
		return PTE_MAPPED | (e & PM_UFFD_WP ? PTE_WP : 0);
	if (e & PM_FILE)
		return PTE_MAPPED | PTE_WP;
	return vma_is_shared(v) ? PTE_WP : PTE_MAPPED | PTE_WP | PTE_UNSURE;
}

static uint8_t pte_state(uint64_t e, const struct uffdctl_vma *v)
{
	if (e & PM_PRESENT)
		return PTE_MAPPED | (e & PM_UFFD_WP ? PTE_WP : 0);
	return e & PM_SWAP ? swap_state(e, v) : e & PM_UFFD_WP ? PTE_WP : 0;
}

static int read_base(int pagemap, const struct uffdctl_vma *v, struct uffdctl_range range, uint8_t *states)
{
	uint64_t entries[512], page = base_page_size(), first = range.start / page, nr = range_len(range) / page;

	for (uint64_t i = 0; i < nr;) {
		uint64_t n = MIN(nr - i, (uint64_t)ARRAY_SIZE(entries));
		ssize_t got = pread(pagemap, entries, n * sizeof(*entries), (first + i) * sizeof(*entries));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < (ssize_t)sizeof(*entries))
			return got < 0 ? -errno : -ESRCH;
		n = got / sizeof(*entries);
		for (uint64_t k = 0; k < n; k++)
			states[i + k] = pte_state(entries[k], v);
		i += n;
	}
	return 0;
}

/*
 * Before Linux 6.7, pagemap shows only whether a huge page is present. That is enough if there can be no marks
 * (UNREGISTER, or registering without the mode, removes them); a page that is not present may be one that is being
 * migrated.
 */
static int read_huge(int pagemap, const struct uffdctl_vma *v, struct uffdctl_range range, uint8_t *states)
{
	if (v->modes & UFFDCTL_MODE_WP)
		return -EOPNOTSUPP;
	for (uint64_t a = range.start; a < range.end; a += v->page_size) {
		uint64_t e;
		ssize_t got = pread(pagemap, &e, sizeof(e), a / base_page_size() * sizeof(e));

		if (got < (ssize_t)sizeof(e))
			return got < 0 ? -errno : -ESRCH;
		states[(a - range.start) / v->page_size] = e & PM_PRESENT ? PTE_MAPPED : PTE_UNSURE;
	}
	return 0;
}

/*
 * The entry of a huge page in pagemap shows neither a mark (before Linux 6.14) nor a migration. Where there can be no
 * marks, Linux 7.3 says of no page that it was written.
 */
static int scan_huge(int pagemap, const struct uffdctl_vma *v, struct uffdctl_range range, uint8_t *states)
{
	struct page_region regions[64];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = range.start,
		.end = range.end,
		.vec = (uintptr_t)regions,
		.vec_len = ARRAY_SIZE(regions),
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_WRITTEN,
	};

	bool has_marks = v->modes & (UFFDCTL_MODE_WP | UFFDCTL_MODE_RWP);

	memset(states, 0, range_len(range) / v->page_size);
	while (arg.start < range.end) {
		int n = ioctl(pagemap, PAGEMAP_SCAN, &arg);

		if (n < 0)
			return errno == ENOTTY ? read_huge(pagemap, v, range, states) : -errno;
		for (int i = 0; i < n; i++) {
			uint8_t state = !has_marks || regions[i].categories & PAGE_IS_WRITTEN ? 0 : PTE_WP;

			if (regions[i].categories & PAGE_IS_PRESENT)
				state |= PTE_MAPPED;
			else
				state |= state ? PTE_UNSURE : PTE_MAPPED | PTE_POISONED;
			for (uint64_t a = MAX(regions[i].start, range.start); a < MIN(regions[i].end, range.end);
			     a += v->page_size)
				states[(a - range.start) / v->page_size] = state;
		}
		if (arg.walk_end <= arg.start)
			return -EIO;
		arg.start = arg.walk_end;
	}
	return 0;
}

int pagemap_read(int pagemap, const struct uffdctl_vma *v, struct uffdctl_range range, uint8_t *states)
{
	return v->page_size > base_page_size() ? scan_huge(pagemap, v, range, states)
					       : read_base(pagemap, v, range, states);
}

bool pagemap_has_marks(int pagemap, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	struct page_region region;
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = range.start,
		.end = range.end,
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_mask = PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_SWAPPED,
	};
	int n = ioctl(pagemap, PAGEMAP_SCAN, &arg);

	return n < 0 ? v->page_size == base_page_size() : n > 0;
}

int pagemap_open_own(int *ret)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

static enum own_state own_state(uint64_t e)
{
	if (!(e & PM_PRESENT))
		return OWN_ABSENT;
	return e & PM_MMAP_EXCLUSIVE ? OWN_EXCLUSIVE : OWN_SHARED;
}

int pagemap_read_own(int pagemap, const void *addr, uint64_t nr, uint8_t *states)
{
	uint64_t entries[512], first = (uintptr_t)addr / base_page_size(), n;

	for (; nr; nr -= n, first += n) {
		size_t bytes = sizeof(*entries) * (n = MIN(nr, (uint64_t)ARRAY_SIZE(entries)));
		ssize_t got = pread(pagemap, entries, bytes, (off_t)(first * sizeof(*entries)));

		if (got != (ssize_t)bytes)
			return got < 0 ? -errno : -EIO;
		for (uint64_t i = 0; i < n; i++)
			*states++ = own_state(entries[i]);
	}
	return 0;
}

int pagemap_try_scan(int pagemap, const void *mapped)
{
	uint64_t page = base_page_size(), start = round_down((uintptr_t)mapped, page);
	struct page_region region = {};
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = start + page,
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};
	int n = ioctl(pagemap, PAGEMAP_SCAN, &arg);

	if (n < 0)
		return -errno;
	return n == 1 && region.start == start ? 0 : -EIO;
}
