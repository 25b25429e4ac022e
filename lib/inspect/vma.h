/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mappings of a target, from BPF or from smaps. */
#ifndef UFFDCTL_VMA_H
#define UFFDCTL_VMA_H

#include "lib/inspect/list.h"
#include "lib/kernel/target.h"
#include "lib/util.h"

/* Internal beside UFFDCTL_MAPS_*: VmFlags that have no name here do no harm. */
#define MAPS_ANY_FLAGS (1u << 31)

struct uffdctl_maps {
	struct uffdctl_vma *vmas;
	uint64_t *ctxs; /* owners, as kernel addresses, beside vmas; NULL from smaps */
	size_t nr;
	enum uffdctl_source source;
	uint64_t *sizes;
	struct strpool strings;
};

/* The first mapping that ends above addr, or the number of mappings. */
size_t maps_find(const struct uffdctl_maps *m, uint64_t addr);

/*
 * Is the range still shown by the same file at the same offset? 0; -ENOENT; -ESRCH; -ENOTTY: the kernel has
 * no PROCMAP_QUERY. The other reads all of /proc/PID/maps. May be called by any thread.
 */
int vma_is_still(struct uffdctl_target *t, const struct uffdctl_vma *v, struct uffdctl_range range);
int vma_is_still_by_maps(struct uffdctl_target *t, const struct uffdctl_vma *v, struct uffdctl_range range);

/* "7f…-7f… rw-s /memfd:guest", escaped; free with free(). */
char *vma_describe(const struct uffdctl_vma *v);

#endif
