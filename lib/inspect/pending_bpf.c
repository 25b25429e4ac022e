// SPDX-License-Identifier: LGPL-2.1-or-later
/* Threads that wait on userfaultfds now, from the kernel's wait queues. */
#include <errno.h>
#include <string.h>

#include "bpf/event.h"
#include "lib/inspect/pending_build.h"
#include "lib/kernel/names.h"
#include "lib/kernel/uapi.h"
#include "lib/kernel/waiters.h"

static pid_t target_of(const struct uffdctl_list *l, uint64_t mm)
{
	for (size_t i = 0; i < l->nr; i++)
		if (l->mms[i] == mm)
			return l->uffds[i].target_pid;
	return 0;
}

/* A thread waits in one queue, but the walk may meet it twice when it moves from one queue to the next. */
static struct uffdctl_waiter *waiter_of(struct uffdctl_pending *p, pid_t tid)
{
	for (size_t i = 0; i < p->nr; i++)
		if (p->waiters[i].tid == tid)
			return &p->waiters[i];
	return vec_add(p->waiters, p->nr, p->alloc);
}

static int add_waiter(const struct ev_waiter *ev, void *arg)
{
	struct uffdctl_pending *p = arg;
	struct uffdctl_waiter *w;

	/* No number: the thread has ended, or is not in our pid namespace. */
	if (!ev->tid)
		return 0;
	w = waiter_of(p, ev->tid);
	if (!w)
		return -ENOMEM;
	*w = (struct uffdctl_waiter){
		.ctx = list_ctx(p->list, ev->ctx),
		.pid = ev->pid,
		.tid = ev->tid,
		.target_pid = target_of(p->list, ev->mm),
		.addr = ev->event == UFFD_EVENT_FORK ? UFFDCTL_UNKNOWN : ev->addr,
		.kind = kind_of_message(ev->event, ev->flags),
		.state = ev->queue == EV_DELIVERED ? UFFDCTL_WAIT_DELIVERED : UFFDCTL_WAIT_QUEUED,
		.slept_ns = ev->slept_ns,
		.offset = UFFDCTL_UNKNOWN,
	};
	if (ev->event == UFFD_EVENT_PAGEFAULT)
		w->access = ev->flags & UFFD_PAGEFAULT_FLAG_WRITE ? UFFDCTL_ACCESS_WRITE : UFFDCTL_ACCESS_READ;
	memcpy(w->comm, ev->comm, sizeof(w->comm) - 1);
	return 0;
}

int pending_from_bpf(struct uffdctl *u, struct uffdctl_pending *p)
{
	return waiters_visit(u, add_waiter, p);
}
