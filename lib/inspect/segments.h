/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks up ranges in a target. */
#ifndef UFFDCTL_SEGMENTS_H
#define UFFDCTL_SEGMENTS_H

#include "lib/inspect/maps.h"
#include "lib/inspect/range.h"

/* A part of a range that lies in one mapping. */
struct segment {
	struct uffdctl_range range;
	const struct uffdctl_vma *vma;
	uint64_t owner; /* the mapping's, as in struct uffdctl_maps; 0: none or not known */
	const struct range_spec *spec;
};

struct segments {
	struct segment *segs;
	size_t nr, alloc;
};

/*
 * Which mappings "all" selects, and whether a glob selects only registered ones. If no match is registered, a glob
 * selects all matches, so that each gets its error. Addresses select what they cover.
 */
struct range_filter {
	bool (*all)(const struct uffdctl_vma *v, uint64_t owner, void *arg);
	void *arg;
	const char *verb; /* what "all" selects, as in "no mapping is registered for minor" */
	uint64_t modes;	  /* for which; 0: any */
	const char *hint; /* if there is none; may be NULL */
	bool glob_registered;
};

/*
 * Look up one range: add its segments to ret, ordered by address.
 * @maps: all mappings of the target
 * -ENOENT: it selects nothing; -EFAULT: it covers a hole; -EINVAL: it is not aligned to huge pages; each is logged
 * with the remedy. Then nothing is added.
 */
int range_resolve(struct uffdctl_target *t, const struct uffdctl_maps *maps, const struct range_spec *spec,
		  const struct range_filter *filter, struct segments *ret);

/* The addresses of a RANGE_ADDRESS or RANGE_PAGE, whatever is mapped there. */
struct uffdctl_range range_addresses(const struct uffdctl_maps *maps, const struct range_spec *spec);

void segments_free(struct segments *s);

#endif
