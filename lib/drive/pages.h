/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ioctl on the pages of a chunk: what its errors mean, and which marks it must not drop. */
#ifndef UFFDCTL_PAGES_H
#define UFFDCTL_PAGES_H

#include "lib/drive/job.h"

/* Do the ioctl on a whole range of the chunk; skip pages that are mapped or absent. */
void resolve_run(struct chunk *c, struct uffdctl_range range, bool wp);
/* The same, but first look for marks that op would drop, if there can be any. -errno: the look failed. */
int resolve_keeping_marks(struct chunk *c, struct uffdctl_range range);
/* The same, as op->judge() decides for each page; c->states are those of the range. */
void resolve_pages(struct chunk *c, struct uffdctl_range range);

#endif
