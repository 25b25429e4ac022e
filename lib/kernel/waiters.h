/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads that wait in userfaultfds, found in the kernel's wait queues by a BPF program. */
#ifndef UFFDCTL_WAITERS_H
#define UFFDCTL_WAITERS_H

#include "bpf/event.h"
#include "lib/context.h"

/* Look for them. What is found stays until this is called again. -errno as iter_get(), not logged. */
int waiters_find(struct uffdctl *u);

/*
 * The kernel's own records of those that were found; fn returns 0 to go on. A thread may come more than once: the
 * last record is the newest.
 */
int waiters_visit(struct uffdctl *u, int (*fn)(const struct ev_waiter *ev, void *arg), void *arg);

/*
 * How many userfaultfds changed faster than they could be walked, so that threads which came last may be missing;
 * the kernel addresses of the first ones that there is room for in *ret.
 */
uint64_t waiters_torn(const struct uffdctl *u, uint64_t *ret, size_t room);

#endif
