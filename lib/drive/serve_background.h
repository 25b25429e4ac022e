/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: what those have in common who bring in what nobody waits for. */
#ifndef UFFDCTL_SERVE_BACKGROUND_H
#define UFFDCTL_SERVE_BACKGROUND_H

#include "lib/drive/serving.h"

/* Let the workers be idle first, for some milliseconds at most. */
void background_yield(struct serve_memory *m);
/* So many bytes were brought in: wait as long as opts.rate asks, for all threads together, or until all end. */
void background_keep_rate(struct uffdctl_serve *s, uint64_t bytes);
/* Until all end, or that long. */
void background_sleep(const struct uffdctl_serve *s, int ms);

/* The kind of faults with which pages of a part are brought in; UFFDCTL_KIND_UNKNOWN: none. */
enum uffdctl_kind background_kind(const struct serve_part *p);
/*
 * Bring in what of a range, at most SERVE_RUN_BYTES or one huge page, has not been filled.
 * @tries_held: also what could not be brought in before
 * False: it can't be brought in now.
 */
bool background_range(struct serve_worker *w, struct uffdctl_range range, bool tries_held);

#endif
