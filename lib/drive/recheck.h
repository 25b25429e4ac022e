/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Are registered mappings still what they were? The target may change them at any time while they are worked on. */
#ifndef UFFDCTL_RECHECK_H
#define UFFDCTL_RECHECK_H

#include <pthread.h>

#include "lib/drive/handle.h"

struct recheck {
	pthread_mutex_t lock; /* of the iterators, which several threads want */
};

/*
 * The mapping at range->start as it is now; may be called by any thread.
 * @v: as it was; its modes become those of now
 * @range: is cut where the mapping ends
 * -ENOENT: it is another, or not registered on h any more, or for other modes than wp beside those
 * of before; -ESRCH. Without BPF owner and modes are taken to be what they were.
 */
int recheck_mapping(struct recheck *rc, struct uffdctl_handle *h, struct uffdctl_vma *v, struct uffdctl_range *range);

/* Is the range still shown by the same file at the same offset? 0; -ENOENT; -ESRCH. May be called by any thread. */
int recheck_file(struct recheck *rc, struct uffdctl_handle *h, const struct uffdctl_vma *v, struct uffdctl_range range);

#endif
