/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing the contents of pages that are not mapped through a second mapping of their file. */
#ifndef UFFDCTL_FILL_H
#define UFFDCTL_FILL_H

#include "lib/drive/resolve.h"

/* Beside enum pte_state. */
enum {
	PTE_ELSEWHERE = 1 << 3, /* mapped through another mapping of the file: not to be touched */
	PTE_FILLED = 1 << 4,	/* written just now */
};

/* Are there contents to fill with? */
bool fill_wanted(const struct job *job);

/* As the functions of struct resolve_op. */
int fill_prepare(struct job *job, const struct uffdctl_maps *maps, const struct segments *segs);
int fill_add_part(struct job *job, struct part *p);
int fill_chunk(struct chunk *c);
void fill_finish(struct job *job);

#endif
