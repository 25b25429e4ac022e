/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cachestat(2) (Linux 6.5): the pages of a file in the page cache. */
#ifndef UFFDCTL_CACHESTAT_H
#define UFFDCTL_CACHESTAT_H

#include <stdbool.h>
#include <stdint.h>

/* In base pages, also for a file with huge ones. */
struct cached {
	uint64_t nr_cached;
	uint64_t nr_evicted; /* shmem keeps an entry only of a page that is swapped out: these are all of them */
};

/*
 * Count the pages of this part of a file; len is not 0. Not for hugetlbfs (-EOPNOTSUPP).
 * -ENOSYS: before Linux 6.5; -EPERM: neither owner nor allowed to write the file.
 */
int cachestat_count(int fd, uint64_t offset, uint64_t len, struct cached *ret);

/* Has a page of this part of a file been evicted, for example swapped out? False also if this is not known. */
bool cachestat_has_evicted(int fd, uint64_t offset, uint64_t len);

/* Is the call there, and does it count a page of a shmem file of our own? 0 or a negative errno. */
int cachestat_try(void);

#endif
