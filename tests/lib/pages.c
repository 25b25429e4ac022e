// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of what the pages of a process are: words of pagemap, and the page cache of a file that we map ourselves. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/kernel/cachestat.h"
#include "lib/kernel/holes.h"
#include "lib/kernel/pagescan.h"
#include "tests/lib/logged.h"

#define PRESENT (UINT64_C(1) << 63)
#define SWAP (UINT64_C(1) << 62)
#define FILE_PAGE (UINT64_C(1) << 61)
#define GUARD (UINT64_C(1) << 58)
#define UFFD_WP (UINT64_C(1) << 57)
#define ENTRY(type, offset) (SWAP | (uint64_t)(offset) << 5 | (type))

static const struct uffdctl_vma shared = { .perms = "rw-s", .modes = UFFDCTL_MODE_WP };
static const struct uffdctl_vma private = { .perms = "rw-p", .modes = UFFDCTL_MODE_WP };
static const struct uffdctl_vma unregistered = { .perms = "rw-p" };

TEST("pages-word-present")
{
	NUM(pagescan_word_bits(0, &shared), 0);
	NUM(pagescan_word_bits(PRESENT | 0x1234, &shared), ENTRY_PRESENT);
	NUM(pagescan_word_bits(PRESENT | UFFD_WP, &shared), ENTRY_PRESENT | ENTRY_UFFD);
	NUM(pagescan_word_bits(PRESENT | UFFD_WP, &unregistered), ENTRY_PRESENT);
}

/* With CAP_SYS_ADMIN, the kernel shows the type. */
TEST("pages-word-swap-types")
{
	NUM(pagescan_word_bits(ENTRY(0, 77), &private), ENTRY_SWAPPED);
	NUM(pagescan_word_bits(ENTRY(21, 77), &private), ENTRY_SWAPPED);
	NUM(pagescan_word_bits(ENTRY(1, 77) | UFFD_WP, &private), ENTRY_SWAPPED | ENTRY_UFFD);
	NUM(pagescan_word_bits(ENTRY(1, 77) | UFFD_WP, &unregistered), ENTRY_SWAPPED);
	/* Migration, a device, an error in the memory: which type is which depends on the kernel's configuration. */
	for (int type = 22; type < 31; type++)
		NUM(pagescan_word_bits(ENTRY(type, 77) | FILE_PAGE, &shared), ENTRY_UNSURE);
	NUM(pagescan_word_bits(ENTRY(31, 1) | UFFD_WP, &shared), ENTRY_MARKER | ENTRY_UFFD);
	NUM(pagescan_word_bits(ENTRY(31, 2), &shared), ENTRY_MARKER | ENTRY_POISONED);
	NUM(pagescan_word_bits(ENTRY(31, 2), &unregistered), ENTRY_MARKER | ENTRY_POISONED);
	NUM(pagescan_word_bits(ENTRY(31, 4) | GUARD, &private), ENTRY_MARKER);
	/* In Linux 6.1, that is the type before; and the last one is of an error of swap. */
	NUM(pagescan_word_bits(ENTRY(30, 1) | UFFD_WP, &shared), ENTRY_MARKER | ENTRY_UFFD);
	NUM(pagescan_word_bits(ENTRY(31, 0x1234), &private), ENTRY_UNSURE);
}

/* Without it, a page that is swapped out can't be told from a poison mark; but it has no entry in a shared mapping. */
TEST("pages-word-no-types")
{
	NUM(pagescan_word_bits(SWAP, &private), ENTRY_UNSURE);
	NUM(pagescan_word_bits(SWAP | UFFD_WP, &private), ENTRY_UNSURE | ENTRY_UFFD);
	NUM(pagescan_word_bits(SWAP | UFFD_WP, &shared), ENTRY_MARKER | ENTRY_UFFD);
	NUM(pagescan_word_bits(SWAP | UFFD_WP | FILE_PAGE, &shared), ENTRY_UNSURE | ENTRY_UFFD);
	NUM(pagescan_word_bits(SWAP, &shared), ENTRY_UNSURE);
	NUM(pagescan_word_bits(SWAP | GUARD, &private), ENTRY_MARKER);
}

/* A huge page's mark stands alone. */
TEST("pages-word-mark-alone")
{
	NUM(pagescan_word_bits(UFFD_WP, &shared), ENTRY_MARKER | ENTRY_UFFD);
	NUM(pagescan_word_bits(UFFD_WP, &unregistered), 0);
}

/* Our own page table, with more runs than there is room for. */
TEST("pages-scan-continues")
{
	struct pagescan *s = malloc(sizeof(*s));
	size_t page = getpagesize(), nr_pages = 3 * MAX_ENTRY_RUNS;
	char *p = mmap(NULL, nr_pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdctl_vma v = {
		.range = { (uintptr_t)p, (uintptr_t)p + nr_pages * page }, .perms = "rw-p", .page_size = page
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	madvise(p, nr_pages * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < nr_pages; i += 2)
		p[i * page] = 1;
	/* By PAGEMAP_SCAN where there is one, and without it. */
	for (int no_ioctl = 0; no_ioctl < 2; no_ioctl++) {
		struct uffdctl_range left = v.range;
		size_t nr = 0, wrong = 0;

		pagescan_init(s, fd);
		s->no_ioctl = no_ioctl;
		while (left.start < left.end) {
			NUM(pagescan_next(s, &v, left), 0);
			if (s->end <= left.start)
				abort();
			for (size_t i = 0; i < s->nr; i++, nr++) {
				wrong += s->runs[i].range.start != v.range.start + 2 * nr * page ||
					 s->runs[i].range.end != s->runs[i].range.start + page ||
					 s->runs[i].bits != ENTRY_PRESENT;
			}
			left.start = s->end;
		}
		NUM(nr, nr_pages / 2);
		NUM(wrong, 0);
	}
	munmap(p, nr_pages * page);
	close(fd);
	free(s);
}

TEST("pages-cachestat-and-holes")
{
	int fd = memfd_create("pages", MFD_CLOEXEC), r;
	uint64_t page = getpagesize();
	struct uffdctl_range data;
	struct cached in;

	OK(ftruncate(fd, 16 * (off_t)page) == 0);
	OK(pwrite(fd, "x", 1, 4 * (off_t)page) == 1);
	/* Allocated and never written: counted, and no data. */
	OK(posix_fallocate(fd, 8 * (off_t)page, 2 * (off_t)page) == 0);
	NUM(holes_next_data(fd, 0, &data), 0);
	NUM(data.start, 4 * page);
	NUM(data.end, 5 * page);
	NUM(holes_next_data(fd, data.end, &data), 0);
	NUM(data.end - data.start, 0);
	r = cachestat_count(fd, 0, 16 * page, &in);
	if (r != -ENOSYS) { /* before Linux 6.5 */
		NUM(r, 0);
		NUM(in.nr_cached, 3);
		NUM(in.nr_evicted, 0);
		NUM(cachestat_count(fd, 9 * page, page, &in), 0);
		NUM(in.nr_cached, 1);
	}
	close(fd);
}

TEST("pages-names")
{
	STR(uffdctl_page_state_name(UFFDCTL_PAGE_MINOR), "minor");
	STR(uffdctl_page_state_name(UFFDCTL_PAGE_UNKNOWN), "unknown");
	OK(!uffdctl_page_state_name(UFFDCTL_PAGE_SWAPPED + 1));
	STR(uffdctl_page_mark_name(0), "wp");
	STR(uffdctl_page_mark_name(2), "poisoned");
	OK(!uffdctl_page_mark_name(3));
	OK(!uffdctl_page_mark_name(64));
}

TEST("pages-opts")
{
	struct uffdctl *u = new_context();
	struct uffdctl_target *t;
	struct uffdctl_pages_opts opts = { .size = sizeof(opts) };
	struct uffdctl_peek_opts peek = { .size = sizeof(peek) };

	NUM(uffdctl_target_open(u, getpid(), &t), 0);
	NUM(uffdctl_pages(t, &opts), -EINVAL);
	NUM(uffdctl_peek_ranges(t, &peek), -EINVAL);
	NUM(uffdctl_pages(t, NULL), -EINVAL);
	NUM(nr_logged, 3);
	uffdctl_target_close(t);
	uffdctl_free(u);
}
