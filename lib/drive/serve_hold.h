/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: faults that can't be resolved, or not yet. */
#ifndef UFFDCTL_SERVE_HOLD_H
#define UFFDCTL_SERVE_HOLD_H

#include "lib/drive/serving.h"

/* Why a page can't be resolved, in words. @err: a negative errno; 0 if it is mapped elsewhere */
const char *hold_why(enum uffdctl_kind kind, int err, bool elsewhere);
/* Let the waiters of a page wait, and do what on_error says. Of the prefaulter's pages, nobody need wait for any. */
void hold_page(struct serve_worker *w, enum uffdctl_kind kind, struct uffdctl_range page, int err, const char *text);
/* A fault on memory that is not served. */
void hold_outside(struct serve_worker *w, uint64_t addr);
/* Until an event is read. */
void hold_put_off(struct serve_memory *m, enum uffdctl_kind kind, struct uffdctl_range r, uint64_t page);

/* Forget what is not held any more. @tries: wake the threads: they fault again, and so the page is tried again */
void hold_look(struct serve_memory *m, bool tries);

#endif
