/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gathers waiters, from one source or the other. */
#ifndef UFFDCTL_PENDING_BUILD_H
#define UFFDCTL_PENDING_BUILD_H

#include "lib/inspect/list.h"
#include "lib/util.h"

struct uffdctl_pending {
	struct uffdctl_waiter *waiters;
	size_t nr, alloc;
	size_t nr_all; /* with those that were not asked for, behind the others */
	struct uffdctl_handler *handlers;
	size_t nr_handlers, handlers_alloc;
	struct uffdctl_list *list;
	struct strpool strings;
	size_t nr_hidden;
};

/* The results of waiters_find(). */
int pending_from_bpf(struct uffdctl *u, struct uffdctl_pending *p);
int pending_from_proc(struct uffdctl_pending *p);

#endif
