/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: a memory, and its parts. */
#ifndef UFFDCTL_SERVE_MEMORY_H
#define UFFDCTL_SERVE_MEMORY_H

#include "lib/drive/serving.h"

/*
 * @uffd: becomes the memory's; -1: that of s->h, which is the target's
 * @ret: out, in no list yet
 */
int memory_new(struct uffdctl_serve *s, int uffd, struct serve_memory **ret);
void memory_free(struct serve_memory *m);

/*
 * Add a part, behind the others. NULL: out of memory.
 * @part: stays where it is; NULL: the new one gets a part of its own, to be set with its mapping by part_set()
 */
struct serve_part *memory_add(struct serve_memory *m, struct part *part);
/* Make a part like another one, but for the range. */
void part_set(struct serve_part *p, const struct serve_part *like, struct uffdctl_range range);
/* Order the parts by address. */
void memory_sort(struct serve_memory *m);

/* All pages that get contents have them. */
bool memory_is_filled(struct serve_memory *m);

/* Wake who waits in the parts, and outside of them as far as we know, so that they fault again. */
void memory_wake_all(struct serve_memory *m);

#endif
