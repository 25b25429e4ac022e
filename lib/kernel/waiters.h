/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads that wait on userfaultfds, found in the kernel's wait queues by a BPF program. */
#ifndef UFFDCTL_WAITERS_H
#define UFFDCTL_WAITERS_H

#include "bpf/event.h"
#include "lib/context.h"

/* Find the waiters. The results are kept until the next call. -errno as iter_get(), not logged. */
int waiters_find(struct uffdctl *u);

/*
 * The kernel records of the waiters that were found; a negative result of fn ends it. A thread may come more than once:
 * the last record is the newest.
 */
int waiters_visit(struct uffdctl *u, int (*fn)(const struct ev_waiter *ev, void *arg), void *arg);

/*
 * The threads that waited at the same time for messages of userfaultfds with waiters; one may come for several. There may be
 * others, for example behind an io_uring. -E2BIG: there is no room for all.
 */
int waiters_visit_readers(struct uffdctl *u, int (*fn)(const struct ev_reader *ev, void *arg), void *arg);

/*
 * The number of userfaultfds whose queues changed faster than they could be walked, so that threads queued last may
 * be missing; *ret gets the kernel addresses of the first ones.
 */
uint64_t waiters_torn(const struct uffdctl *u, uint64_t *ret, size_t room);

/* False: more threads wait than there is room for, which waiters_visit() logs. */
bool waiters_all_found(const struct uffdctl *u);

#endif
