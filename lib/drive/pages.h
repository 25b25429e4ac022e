/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ioctl on the pages of a chunk: what its errors mean, and which marks it must not drop. */
#ifndef UFFDCTL_PAGES_H
#define UFFDCTL_PAGES_H

#include "lib/drive/job.h"

/* The ioctl on all of a range of the chunk, past pages that are mapped or absent. */
void resolve_run(struct chunk *c, struct uffdctl_range range, bool wp);
/* Likewise with a look for the marks that op drops, where there can be such. -errno of the look. */
int resolve_keeping_marks(struct chunk *c, struct uffdctl_range range);
/* Likewise by what op->judge() says of each page, c->states being those of the range. */
void resolve_pages(struct chunk *c, struct uffdctl_range range);

#endif
