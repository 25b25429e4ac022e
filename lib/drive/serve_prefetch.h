/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: brings in a working set, in its order, before anything else that nobody has asked for. */
#ifndef UFFDCTL_SERVE_PREFETCH_H
#define UFFDCTL_SERVE_PREFETCH_H

#include "lib/drive/serving.h"

/* Start the threads, if there is a set to bring in. -EAGAIN, -ENOMEM. */
int prefetch_start(struct uffdctl_serve *s);
/* After serve_stopping() is true. */
void prefetch_join(struct uffdctl_serve *s);
/* Until they have gone through the set, or all end. */
void prefetch_wait(struct uffdctl_serve *s);

#endif
