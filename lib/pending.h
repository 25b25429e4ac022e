/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that wait in userfaultfds now. */
#ifndef UFFDCTL_PENDING_H
#define UFFDCTL_PENDING_H

#include "context.h"

/* What a message says, as this library's enumerations. */
enum uffdctl_kind kind_of_message(uint32_t event, uint64_t flags);

/* The kernel's own records, once for each descriptor of a userfaultfd; fn returns 0 to go on. */
struct pending_bpf;
void pending_close(struct pending_bpf *skel);
struct ev_waiter;
int pending_visit(struct uffdctl *u, int (*fn)(const struct ev_waiter *ev, void *arg), void *arg);

#endif
