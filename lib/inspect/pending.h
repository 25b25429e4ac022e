/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that wait in userfaultfds now. */
#ifndef UFFDCTL_PENDING_H
#define UFFDCTL_PENDING_H

#include "lib/context.h"

/* What a message says, as this library's enumerations. */
enum uffdctl_kind kind_of_message(uint32_t event, uint64_t flags);

/*
 * The kernel's own records; fn returns 0 to go on. A thread may come more than once: the last record
 * is the newest.
 */
struct ev_waiter;
int pending_visit(struct uffdctl *u, int (*fn)(const struct ev_waiter *ev, void *arg), void *arg);

/*
 * How many userfaultfds changed faster than the last visit could walk them, so that threads which came
 * last may be missing; the ctx of the first ones that there is room for in *ret.
 */
uint64_t pending_torn(const struct uffdctl *u, uint64_t *ret, size_t room);

#endif
