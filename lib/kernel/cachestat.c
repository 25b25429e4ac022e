// SPDX-License-Identifier: LGPL-2.1-or-later
/* cachestat(2) (Linux 6.5): the pages of a file in the page cache. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/kernel/cachestat.h"

#define NR_CACHESTAT 451

struct cachestat_range {
	uint64_t off, len;
};

struct cachestat {
	uint64_t nr_cache, nr_dirty, nr_writeback, nr_evicted, nr_recently_evicted;
};

int cachestat_count(int fd, uint64_t offset, uint64_t len, struct cached *ret)
{
	struct cachestat_range range = { offset, len };
	struct cachestat st;

	if (syscall(NR_CACHESTAT, fd, &range, &st, 0) < 0)
		return -errno;
	*ret = (struct cached){ st.nr_cache, st.nr_evicted };
	return 0;
}

bool cachestat_has_evicted(int fd, uint64_t offset, uint64_t len)
{
	struct cachestat_range range = { offset, len };
	struct cachestat st;

	return syscall(NR_CACHESTAT, fd, &range, &st, 0) == 0 && st.nr_evicted;
}

int cachestat_try(void)
{
	_cleanup_close_ int fd = memfd_create("uffdctl-doctor", MFD_CLOEXEC);
	struct cachestat_range range = { 0, 1 };
	struct cachestat st;

	if (fd < 0 || write(fd, "u", 1) != 1 || syscall(NR_CACHESTAT, fd, &range, &st, 0) < 0)
		return -errno;
	return st.nr_cache == 1 ? 0 : -EIO;
}
