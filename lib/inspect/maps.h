/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mappings of a target. */
#ifndef UFFDCTL_MAPS_H
#define UFFDCTL_MAPS_H

#include "lib/inspect/maps_build.h"

/* The index of the first mapping that ends above addr, or the number of mappings. */
size_t maps_find(const struct uffdctl_maps *m, uint64_t addr);
/* The mapping at addr; NULL: there is none. */
const struct uffdctl_vma *maps_at(const struct uffdctl_maps *m, uint64_t addr);

/* The owner of the mapping at an index, 0: none or not known. */
static inline uint64_t maps_owner(const struct uffdctl_maps *m, size_t i)
{
	return m->owners ? m->owners[i] : 0;
}

/* uffdctl_maps(), also with MAPS_ANY_FLAGS. */
int maps_read(struct uffdctl_target *t, enum uffdctl_source source, unsigned int flags, const struct uffdctl_list *list,
	      struct uffdctl_maps **ret);

/*
 * Get the registered mappings of a process that may end meanwhile, or may not be inspected: nothing is logged. Errors
 * as uffdctl_target_open() and uffdctl_maps().
 */
int maps_of_process(struct uffdctl *u, pid_t pid, enum uffdctl_source source, struct uffdctl_maps **ret);

#endif
