// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of the page cache of mapped files: here a file that we map ourselves. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/inspect/pagecache.h"
#include "lib/kernel/mincore.h"
#include "tests/lib/logged.h"

#define NR_PAGES 4

static int new_file(void)
{
	int fd = memfd_create("pagecache", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, NR_PAGES * getpagesize()) < 0)
		abort();
	return fd;
}

static void make_page(int fd, int i)
{
	OK(pwrite(fd, "x", 1, i * getpagesize()) == 1);
}

static struct uffdctl_vma map_file(int fd)
{
	size_t len = NR_PAGES * getpagesize();
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct stat st;

	if (p == MAP_FAILED || fstat(fd, &st) < 0)
		abort();
	return (struct uffdctl_vma){
		.range = { (uintptr_t)p, (uintptr_t)p + len },
		.perms = "rw-s",
		.inode = st.st_ino,
		.dev_major = major(st.st_dev),
		.dev_minor = minor(st.st_dev),
		.page_size = getpagesize(),
		.memory = UFFDCTL_MEMORY_SHMEM,
	};
}

static void unmap(const struct uffdctl_vma *v)
{
	munmap((void *)(uintptr_t)v->range.start, v->range.end - v->range.start);
}

/* A length that is no multiple of the page size counts as whole pages. */
TEST("mincore-has-all")
{
	uint64_t page = getpagesize();
	int fd = new_file();

	make_page(fd, 0);
	OK(mincore_has_all(fd, 0, page));
	OK(mincore_has_all(fd, 0, 1));
	OK(!mincore_has_all(fd, 0, page + 1));
	make_page(fd, 1);
	OK(mincore_has_all(fd, 0, page + 1));
	OK(mincore_has_all(fd, page, page - 1));
	OK(!mincore_has_all(fd, 0, 3 * page));
	close(fd);
}

TEST("pagecache-has")
{
	struct uffdctl *u = new_context();
	struct uffdctl_target *t;
	struct uffdctl_vma v;
	int fd = new_file();

	make_page(fd, 0);
	v = map_file(fd);
	NUM(uffdctl_target_open(u, getpid(), &t), 0);
	NUM(pagecache_has(t, &v, v.range.start), 1);
	NUM(pagecache_has(t, &v, v.range.start + getpagesize()), 0);
	/* It only asks: a failure is no error. */
	v.memory = UFFDCTL_MEMORY_OTHER;
	NUM(pagecache_has(t, &v, v.range.start), -EOPNOTSUPP);
	NUM(nr_logged, 0);
	STR(uffdctl_last_error(u), "");
	uffdctl_target_close(t);
	uffdctl_free(u);
	unmap(&v);
	close(fd);
}

TEST("pagecache-other-file")
{
	struct uffdctl *u = new_context();
	struct uffdctl_target *t;
	struct uffdctl_vma v;
	int fd = new_file(), ret;

	v = map_file(fd);
	v.inode++;
	NUM(uffdctl_target_open(u, getpid(), &t), 0);
	NUM(pagecache_open(t, &v, &ret), -ESTALE);
	NUM(nr_logged, 1);
	PART(logged, "the mapping there has changed to another file");
	uffdctl_target_close(t);
	uffdctl_free(u);
	unmap(&v);
	close(fd);
}
