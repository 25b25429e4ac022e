/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which ioctls of a userfaultfd work on a kind of memory: found by issuing each on memory of our own. */
#ifndef UFFDCTL_UFFD_TRY_H
#define UFFDCTL_UFFD_TRY_H

#include "lib/kernel/own_memory.h"

struct uffd_tried {
	int err;	 /* of UFFDIO_REGISTER; the rest is valid if it is 0 */
	uint64_t named;	 /* 1 << _UFFDIO_*: what UFFDIO_REGISTER returned */
	uint64_t worked; /* of these, what was issued and did its work */
	uint64_t failed; /* what was issued and failed; the others were not issued */
};

/*
 * Register memory for modes and issue each ioctl that the kernel names; the memory is unregistered again, and nobody
 * touches it meanwhile.
 * @m: OWN_TRY_PAGES pages, from own_memory_open(), without pages in its page table
 */
void uffd_try(int uffd, const struct own_memory *m, uint64_t modes, struct uffd_tried *ret);

#endif
