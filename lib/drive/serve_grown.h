/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: memory that has grown, and so is registered with what it has grown from. */
#ifndef UFFDCTL_SERVE_GROWN_H
#define UFFDCTL_SERVE_GROWN_H

#include "lib/drive/serving.h"

/*
 * A stack grows downwards, and mremap(2) makes a mapping longer where it is. No event tells of either. A process that
 * knows nothing of the userfaultfd has there what it would have without one.
 * False: a thread that faults there faults on something else.
 */
bool grown_serve(struct serve_worker *w, enum uffdctl_kind kind, uint64_t addr);

/* A range of ours, with what of this mapping has grown from it. */
struct uffdctl_range grown_range(const struct uffdctl_serve *s, struct uffdctl_range own, struct uffdctl_range mapping);

#endif
