/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the ranges that users write come to in a target. */
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
 * Which mappings all takes, and whether a glob takes only those that are registered: where no
 * match is, it takes all matches, for each to be told why not. Addresses take what they cover.
 */
struct range_filter {
	bool (*all)(const struct uffdctl_vma *v, uint64_t owner, void *arg);
	void *arg;
	bool glob_registered;
};

/*
 * The segments of one range, added to ret in the order of their addresses.
 * @maps: all mappings of the target
 * -ENOENT: it comes to nothing, or -EFAULT: it covers a hole, or -EINVAL: it is not on the
 * bounds of huge pages; each logged with what would do. Nothing is added then.
 */
int range_resolve(struct uffdctl_target *t, const struct uffdctl_maps *maps, const struct range_spec *spec,
		  const struct range_filter *filter, struct segments *ret);

void segments_free(struct segments *s);

#endif
