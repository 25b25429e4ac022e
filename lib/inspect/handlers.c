// SPDX-License-Identifier: LGPL-2.1-or-later
/* The threads that can resolve what waits, and what each is in. */
#include <errno.h>
#include <string.h>

#include "lib/inspect/handlers.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/thread.h"
#include "lib/kernel/waiters.h"

/* A holder whose threads are being read. */
struct holder {
	struct uffdctl_pending *p;
	const struct uffdctl_uffd *uffd;
	int procfd, pidfd;
};

/* A thread that waits in a fault can't resolve it, nor another of the same userfaultfd. */
static bool waits_on(const struct uffdctl_pending *p, uint32_t ctx, pid_t tid)
{
	for (size_t i = 0; i < p->nr_all; i++)
		if (p->waiters[i].tid == tid && p->waiters[i].ctx == ctx)
			return true;
	return false;
}

static void describe_call(const struct holder *h, struct uffdctl_handler *d, const struct thread_now *t)
{
	char buf[THREAD_FD_BYTES];
	const char *name = syscall_name(&t->syscall);

	d->syscall = name ? strpool_get(&h->p->strings, name) : NULL;
	d->syscall_nr = t->syscall.nr < 0 ? UFFDCTL_UNKNOWN : (uint64_t)t->syscall.nr;
	d->syscall_fd = syscall_fd(&t->syscall);
	if (d->syscall_fd < 0 ||
	    thread_describe_fd(h->procfd, h->pidfd, d->pid, d->tid, d->syscall_fd, buf, sizeof(buf), &d->peer_pid) < 0)
		return;
	d->on = strpool_get(&h->p->strings, buf);
	/* As in fd_wqh, where a thread that is stopped in its read is not. */
	if (d->syscall_fd == h->uffd->fd && !strcmp(buf, "userfaultfd") && name && !strcmp(name, "read"))
		d->role = UFFDCTL_ROLE_READER;
}

static int add_thread(uint32_t tid, void *arg)
{
	const struct holder *h = arg;
	struct uffdctl_handler *d;
	struct thread_now t;

	if (waits_on(h->p, h->uffd->ctx, tid) || thread_read(h->procfd, tid, &t) < 0 || t.state == 'Z' ||
	    t.state == 'X')
		return 0;
	d = vec_add(h->p->handlers, h->p->nr_handlers, h->p->handlers_alloc);
	if (!d)
		return -ENOMEM;
	*d = (struct uffdctl_handler){ .ctx = h->uffd->ctx,
				       .pid = h->uffd->pid,
				       .tid = tid,
				       .fd = h->uffd->fd,
				       .state = { t.state },
				       .tracer_pid = t.tracer_pid };
	memcpy(d->comm, t.comm, sizeof(d->comm));
	describe_call(h, d, &t);
	d->wchan = *t.wchan ? strpool_get(&h->p->strings, t.wchan) : NULL;
	return 0;
}

static int add_holder(struct uffdctl_pending *p, const struct uffdctl_uffd *uffd)
{
	_cleanup_close_ int pidfd = -1, procfd = -1;
	struct holder h = { .p = p, .uffd = uffd };
	int r;

	if (pidfd_open_process(uffd->pid, &pidfd) < 0 || proc_open_live(uffd->pid, &procfd, NULL) < 0 ||
	    pidfd_exited(pidfd))
		return 0;
	h.pidfd = pidfd;
	h.procfd = procfd;
	r = proc_each_number(procfd, "task", add_thread, &h);
	return r == -ENOMEM ? r : 0;
}

/* A process may hold several descriptors of one userfaultfd: its threads are listed once. */
static bool is_next_holder(const struct uffdctl_pending *p, size_t i)
{
	const struct uffdctl_uffd *d = &p->list->uffds[i];

	for (size_t k = 0; k < i; k++)
		if (p->list->uffds[k].pid == d->pid && p->list->uffds[k].ctx == d->ctx)
			return false;
	for (size_t k = 0; k < p->nr; k++)
		if (d->ctx && p->waiters[k].ctx == d->ctx)
			return true;
	return false;
}

/* ---- roles ---- */

static int mark_reader(const struct ev_reader *ev, void *arg)
{
	struct uffdctl_pending *p = arg;
	uint32_t ctx = list_ctx(p->list, ev->ctx);

	for (size_t i = 0; i < p->nr_handlers; i++)
		if (p->handlers[i].ctx == ctx && p->handlers[i].tid == (pid_t)ev->tid)
			p->handlers[i].role = UFFDCTL_ROLE_READER;
	return 0;
}

/* The one reader of a userfaultfd, or the one thread that can be it; NULL: there are none or several. */
static struct uffdctl_handler *only_one(struct uffdctl_pending *p, uint32_t ctx)
{
	struct uffdctl_handler *reader = NULL, *any = NULL;
	size_t readers = 0, nr = 0;

	for (size_t i = 0; i < p->nr_handlers; i++) {
		struct uffdctl_handler *d = &p->handlers[i];

		if (d->ctx != ctx)
			continue;
		nr++;
		any = d;
		if (d->role != UFFDCTL_ROLE_READER)
			continue;
		readers++;
		reader = d;
	}
	return readers == 1 ? reader : nr == 1 ? any : NULL;
}

static void name_handlers(struct uffdctl_pending *p)
{
	for (size_t i = 0; i < p->nr; i++) {
		struct uffdctl_waiter *w = &p->waiters[i];
		struct uffdctl_handler *d = w->ctx ? only_one(p, w->ctx) : NULL;

		if (!d)
			continue;
		if (!d->role)
			d->role = UFFDCTL_ROLE_ONLY;
		w->handler_pid = d->pid;
		w->handler_tid = d->tid;
		memcpy(w->handler_comm, d->comm, sizeof(w->handler_comm));
	}
}

/* Readers first; then those in a call on a descriptor, which may keep the others waiting. */
static int cmp_handlers(const void *a, const void *b)
{
	const struct uffdctl_handler *x = a, *y = b;

	if (x->ctx != y->ctx)
		return x->ctx < y->ctx ? -1 : 1;
	if (!x->role != !y->role)
		return x->role ? -1 : 1;
	if (!x->on != !y->on)
		return x->on ? -1 : 1;
	return x->pid != y->pid ? x->pid - y->pid : x->tid - y->tid;
}

int handlers_find(struct uffdctl *u, struct uffdctl_pending *p)
{
	int r = 0;

	if (p->list->source != UFFDCTL_SOURCE_BPF || !p->nr)
		return 0;
	for (size_t i = 0; r >= 0 && i < p->list->nr; i++)
		if (is_next_holder(p, i))
			r = add_holder(p, &p->list->uffds[i]);
	if (r < 0)
		return r;
	r = waiters_visit_readers(u, mark_reader, p);
	name_handlers(p);
	if (p->nr_handlers)
		qsort(p->handlers, p->nr_handlers, sizeof(*p->handlers), cmp_handlers);
	return r == -ENOMEM ? r : 0;
}
