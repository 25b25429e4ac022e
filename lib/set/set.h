/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A working set in memory. */
#ifndef UFFDCTL_SET_H
#define UFFDCTL_SET_H

#include "lib/context.h"
#include "lib/util.h"

struct uffdctl_workset {
	struct uffdctl *u;
	uint64_t image_bytes, image_id;
	struct uffdctl_workset_item *items;
	size_t nr, alloc;
};

/* Touches within this time are one item, if they follow each other in the image. */
#define SET_JOIN_NS (UINT64_C(1000000))

/* A copy of the items by offset; free with free(). */
int set_sort(const struct uffdctl_workset *s, struct uffdctl_workset_item **ret);

#endif
