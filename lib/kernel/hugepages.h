/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /sys/kernel/mm/hugepages: huge pages that are set aside, by size. */
#ifndef UFFDCTL_HUGEPAGES_H
#define UFFDCTL_HUGEPAGES_H

#include <stdint.h>

struct hugepages {
	uint64_t size;	   /* bytes of a page */
	uint64_t total;	   /* set aside for hugetlbfs */
	uint64_t free;	   /* not in use */
	uint64_t reserved; /* of those, promised to a mapping */
};

/* -ENOENT: the kernel has no huge pages of this size. */
int hugepages_read(uint64_t size, struct hugepages *ret);

/* Call fn for each size that the kernel has; fn returns 0 to go on. -ENOENT: hugetlbfs is not in this kernel. */
int hugepages_each(int (*fn)(const struct hugepages *h, void *arg), void *arg);

/* The default size; 0: there is none. */
uint64_t hugepages_default(void);

#endif
