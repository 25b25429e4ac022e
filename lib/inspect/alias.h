/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Aliases: mappings of a target that map the same pages of a file. */
#ifndef UFFDCTL_ALIAS_H
#define UFFDCTL_ALIAS_H

#include "lib/inspect/maps.h"

struct alias_index {
	const struct uffdctl_maps *maps;
	size_t *order;	   /* mappings of files, by device, inode and offset */
	uint64_t *max_end; /* the highest end offset of the mappings of the same file up to here */
	size_t nr;
};

int alias_build(const struct uffdctl_maps *maps, struct alias_index *ret);
void alias_free(struct alias_index *idx);

/* @other: an alias; @range: the addresses at which it maps pages of the given range; returns 0 to go on. */
typedef int (*alias_fn)(const struct uffdctl_vma *other, struct uffdctl_range range, void *arg);

int alias_visit(const struct alias_index *idx, const struct uffdctl_vma *v, struct uffdctl_range range, alias_fn fn,
		void *arg);

#endif
