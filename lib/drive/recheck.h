/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks whether registered mappings are unchanged: the target may change them at any time while they are worked on. */
#ifndef UFFDCTL_RECHECK_H
#define UFFDCTL_RECHECK_H

#include <pthread.h>

#include "lib/drive/handle.h"

struct recheck {
	pthread_mutex_t lock; /* for the iterators, which several threads use */
};

/*
 * The mapping at range->start as it is now; may be called by any thread.
 * @v: the mapping as it was; its modes are updated
 * @range: is cut where the mapping ends
 * -ENOENT: it is another mapping, or it is not registered on h any more, or its modes have changed other than by wp;
 * -ESRCH. Without BPF, owner and modes are assumed to be unchanged.
 */
int recheck_mapping(struct recheck *rc, struct uffdctl_handle *h, struct uffdctl_vma *v, struct uffdctl_range *range);

/* Does the range still map the same file at the same offset? 0; -ENOENT; -ESRCH. May be called by any thread. */
int recheck_file(struct recheck *rc, struct uffdctl_handle *h, const struct uffdctl_vma *v, struct uffdctl_range range);

#endif
