/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A second look at registered mappings while they are worked on: the target may change them at any time. */
#ifndef UFFDCTL_LOOK_H
#define UFFDCTL_LOOK_H

#include <pthread.h>

#include "handle.h"

struct look {
	pthread_mutex_t lock; /* of all below, and of the iterator */
	struct ev_vma *seen;  /* what is registered, in the order of addresses */
	size_t nr, alloc;
	uint64_t began, took; /* ns */
};

void look_free(struct look *look);

/*
 * The mapping at range->start as it is now; may be called by any thread.
 * @v: as it was; its modes become those of now
 * @range: is cut where the mapping ends
 * -ENOENT: it is another, or not registered on h any more, or for other modes than wp beside those
 * of before; -ESRCH. Without BPF owner and modes are taken to be what they were.
 */
int look_again(struct look *look, struct uffdctl_handle *h, struct uffdctl_vma *v, struct uffdctl_range *range);

#endif
