// SPDX-License-Identifier: LGPL-2.1-or-later
/* Threads that wait in userfaultfds now. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

#include "bpf/event.h"
#include "pending.lskel.h"

#include "lib/inspect/list.h"
#include "lib/inspect/pending.h"
#include "lib/inspect/vma.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/target.h"
#include "lib/kernel/uapi.h"
#include "lib/log.h"
#include "lib/util.h"

struct uffdctl_pending {
	struct uffdctl_waiter *waiters;
	size_t nr, alloc;
	struct uffdctl_list *list;
	struct strpool strings;
	size_t nr_hidden;
};

static const char *const kind_names[] = {
	[UFFDCTL_KIND_MINOR] = "minor",	  [UFFDCTL_KIND_MISSING] = "missing", [UFFDCTL_KIND_WP] = "wp",
	[UFFDCTL_KIND_RWP] = "rwp",	  [UFFDCTL_KIND_FORK] = "fork",	      [UFFDCTL_KIND_REMAP] = "remap",
	[UFFDCTL_KIND_REMOVE] = "remove", [UFFDCTL_KIND_UNMAP] = "unmap",
};

UFFDCTL_EXPORT const char *uffdctl_kind_name(enum uffdctl_kind kind)
{
	return (size_t)kind < ARRAY_SIZE(kind_names) ? kind_names[kind] : NULL;
}

enum uffdctl_kind kind_of_message(uint32_t event, uint64_t flags)
{
	switch (event) {
	case UFFD_EVENT_PAGEFAULT:
		return flags & UFFD_PAGEFAULT_FLAG_RWP	   ? UFFDCTL_KIND_RWP
		       : flags & UFFD_PAGEFAULT_FLAG_WP	   ? UFFDCTL_KIND_WP
		       : flags & UFFD_PAGEFAULT_FLAG_MINOR ? UFFDCTL_KIND_MINOR
							   : UFFDCTL_KIND_MISSING;
	case UFFD_EVENT_FORK:
		return UFFDCTL_KIND_FORK;
	case UFFD_EVENT_REMAP:
		return UFFDCTL_KIND_REMAP;
	case UFFD_EVENT_REMOVE:
		return UFFDCTL_KIND_REMOVE;
	case UFFD_EVENT_UNMAP:
		return UFFDCTL_KIND_UNMAP;
	default:
		return UFFDCTL_KIND_UNKNOWN;
	}
}

/* ---- from BPF ---- */

static pid_t target_of(const struct uffdctl_list *l, uint64_t mm)
{
	for (size_t i = 0; i < l->nr; i++)
		if (l->mms[i] == mm)
			return l->uffds[i].target_pid;
	return 0;
}

/* A thread waits in one place, but it may be met in two when it goes from one queue to the next. */
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

	/* No number: the thread is gone, or in a pid namespace that ours does not see. */
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

static int visit_found(struct uffdctl *u, const struct pending_bpf *skel,
		       int (*fn)(const struct ev_waiter *ev, void *arg), void *arg)
{
	size_t nr = MIN(skel->bss->nr_found, (uint64_t)EV_MAX_WAITERS),
	       size = EV_MAX_WAITERS * sizeof(struct ev_waiter);
	struct ev_waiter *found = mmap(NULL, size, PROT_READ, MAP_SHARED, skel->maps.found.map_fd, 0);
	int r = 0;

	if (found == MAP_FAILED)
		return -errno;
	for (size_t i = 0; r >= 0 && i < nr; i++)
		r = fn(&found[i], arg);
	munmap(found, size);
	if (nr < skel->bss->nr_found)
		log_warning(u, "more threads wait than the %d that there is room for", EV_MAX_WAITERS);
	return r;
}

/* What it finds stays until the next look. */
static int look(struct uffdctl *u)
{
	struct iter *it;
	int r = iter_get(u, &it);

	if (r >= 0 && !u->pending)
		r = iter_load_skel(pending_bpf, &u->pending, u->pending->rodata->userfaultfd_fops = iter_fops(it));
	if (!u->pending)
		return r;
	u->pending_close = pending_bpf__destroy;
	u->pending->bss->nr_found = 0;
	u->pending->bss->nr_torn = 0;
	u->pending->bss->run++;
	return iter_run(u->pending->progs.waiters.prog_fd);
}

int pending_visit(struct uffdctl *u, int (*fn)(const struct ev_waiter *ev, void *arg), void *arg)
{
	int r = look(u);

	return r < 0 ? r : visit_found(u, u->pending, fn, arg);
}

uint64_t pending_torn(const struct uffdctl *u, uint64_t *ret, size_t room)
{
	uint64_t nr = u->pending ? u->pending->bss->nr_torn : 0;

	for (size_t i = 0; i < nr && i < EV_MAX_TORN && i < room; i++)
		ret[i] = u->pending->bss->torn[i];
	return nr;
}

/* ---- names of mappings ---- */

static void name_waiters_of(struct uffdctl *u, struct uffdctl_pending *p, pid_t pid)
{
	struct uffdctl_target *t = NULL;
	struct uffdctl_maps *maps = NULL;
	int level = u->log_level;

	/* One that has gone meanwhile, or may not be looked at, leaves names unknown. */
	u->log_level = -1;
	if (uffdctl_target_open(u, pid, &t) == 0)
		uffdctl_maps(t, UFFDCTL_SOURCE_AUTO, 0, NULL, &maps);
	u->log_level = level;

	for (size_t i = 0; maps && i < p->nr; i++) {
		struct uffdctl_waiter *w = &p->waiters[i];
		size_t at = maps_find(maps, w->addr);
		const struct uffdctl_vma *v = uffdctl_maps_get(maps, at);

		if (w->target_pid != pid || w->addr == UFFDCTL_UNKNOWN || !v || v->range.start > w->addr)
			continue;
		w->name = v->name ? strpool_get(&p->strings, v->name) : NULL;
		if (v->inode)
			w->offset = v->offset + (w->addr - v->range.start);
	}
	uffdctl_maps_free(maps);
	uffdctl_target_close(t);
}

static void name_waiters(struct uffdctl *u, struct uffdctl_pending *p)
{
	for (size_t i = 0; i < p->nr; i++) {
		bool seen = !p->waiters[i].target_pid;

		for (size_t k = 0; k < i && !seen; k++)
			seen = p->waiters[k].target_pid == p->waiters[i].target_pid;
		if (!seen)
			name_waiters_of(u, p, p->waiters[i].target_pid);
	}
}

/* ---- from /proc ---- */

struct task_walk {
	struct uffdctl_pending *p;
	int procfd;
	pid_t pid;
};

/* The kernel function that a thread sleeps in: its stack is for root, its wchan for whoever may ptrace it. */
static bool sleeps_in(int procfd, uint32_t tid, const char *function)
{
	static const char *const files[] = { "stack", "wchan" };
	char path[64], buf[4096];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "task/%u/%s", tid, files[i]);
		if (proc_read(procfd, path, buf, sizeof(buf)) >= 0 && strstr(buf, function))
			return true;
	}
	return false;
}

static int add_task(uint32_t tid, void *arg)
{
	struct task_walk *walk = arg;
	struct uffdctl_waiter *w;
	struct proc_stat st;
	char path[64], buf[1024];

	if (!sleeps_in(walk->procfd, tid, "handle_userfault") &&
	    !sleeps_in(walk->procfd, tid, "userfaultfd_event_wait_completion"))
		return 0;
	snprintf(path, sizeof(path), "task/%u/stat", tid);
	if (proc_read(walk->procfd, path, buf, sizeof(buf)) < 0 || stat_parse(buf, &st) < 0)
		return 0;
	w = vec_add(walk->p->waiters, walk->p->nr, walk->p->alloc);
	if (!w)
		return -ENOMEM;
	*w = (struct uffdctl_waiter){ .pid = walk->pid,
				      .tid = tid,
				      .addr = UFFDCTL_UNKNOWN,
				      .slept_ns = UFFDCTL_UNKNOWN,
				      .offset = UFFDCTL_UNKNOWN };
	memcpy(w->comm, st.comm, sizeof(w->comm));
	return 0;
}

static int add_process(uint32_t pid, void *arg)
{
	struct task_walk *walk = arg;
	_cleanup_close_ int procfd = -1;
	char c;
	int r;

	if (proc_open_live(pid, &procfd, NULL) < 0)
		return 0;
	/* Without ptrace access wchan tells nothing, and does not say so. */
	if (readlinkat(procfd, "exe", &c, 1) < 0 && (errno == EACCES || errno == EPERM)) {
		walk->p->nr_hidden++;
		return 0;
	}
	walk->procfd = procfd;
	walk->pid = pid;
	r = proc_each_number(procfd, "task", add_task, walk);
	return r == -ENOMEM ? r : 0;
}

/* ---- both ---- */

static int cmp_slept(const void *a, const void *b)
{
	const struct uffdctl_waiter *x = a, *y = b;

	if (x->slept_ns != y->slept_ns)
		return x->slept_ns > y->slept_ns ? -1 : 1;
	return x->tid - y->tid;
}

static bool holds(const struct uffdctl_list *l, pid_t pid, uint32_t ctx)
{
	for (size_t i = 0; ctx && i < l->nr; i++)
		if (l->uffds[i].pid == pid && l->uffds[i].ctx == ctx)
			return true;
	return false;
}

/* One that is new since the list was made may be of any process. */
static bool concerns(const struct uffdctl_list *l, uint32_t ctx, const pid_t *pids, size_t nr_pids)
{
	if (!pids || ctx == UFFDCTL_CTX_UNHELD)
		return true;
	for (size_t i = 0; i < l->nr; i++)
		for (size_t k = 0; k < nr_pids && l->uffds[i].ctx == ctx; k++)
			if (l->uffds[i].pid == pids[k] || l->uffds[i].target_pid == pids[k])
				return true;
	return false;
}

/* Each is named by its holders: what is shown of the others is whole. */
static void warn_of_torn(struct uffdctl *u, const struct uffdctl_pending *p, const pid_t *pids, size_t nr_pids)
{
	uint64_t ctxs[EV_MAX_TORN], nr = pending_torn(u, ctxs, ARRAY_SIZE(ctxs));

	for (size_t i = 0; i < nr && i < EV_MAX_TORN; i++) {
		uint32_t ctx = list_ctx(p->list, ctxs[i]);
		_cleanup_free_ char *holders = ctx == UFFDCTL_CTX_UNHELD ? NULL : list_holders(p->list, ctx);

		if (concerns(p->list, ctx, pids, nr_pids))
			log_warning(u,
				    "userfaultfd %s: threads wait and go on faster than they can be listed, so that some that came last may be missing: look again",
				    holders ?: "of a process that is new");
	}
	if (nr > EV_MAX_TORN)
		log_warning(u, "threads that wait in %" PRIu64 " more userfaultfds may be missing too: look again",
			    nr - EV_MAX_TORN);
}

static void keep_wanted(struct uffdctl_pending *p, const pid_t *pids, size_t nr_pids)
{
	size_t n = 0;

	for (size_t i = 0; pids && i < p->nr; i++)
		for (size_t k = 0; k < nr_pids; k++) {
			if (p->waiters[i].pid != pids[k] && p->waiters[i].target_pid != pids[k] &&
			    !holds(p->list, pids[k], p->waiters[i].ctx))
				continue;
			p->waiters[n++] = p->waiters[i];
			break;
		}
	if (pids)
		p->nr = n;
	if (p->nr)
		qsort(p->waiters, p->nr, sizeof(*p->waiters), cmp_slept);
}

UFFDCTL_EXPORT int uffdctl_pending(struct uffdctl *u, enum uffdctl_source source, const pid_t *pids, size_t nr_pids,
				   struct uffdctl_pending **ret)
{
	struct uffdctl_pending *p = calloc(1, sizeof(*p));
	struct task_walk walk = { .p = p };
	int r, looked;

	if (!p)
		return log_oom(u);
	/* Before the userfaultfds are listed: one that is made meanwhile is in the list, if it has waiters here. */
	looked = source == UFFDCTL_SOURCE_PROC ? -EOPNOTSUPP : look(u);
	r = uffdctl_list(u, source, NULL, 0, &p->list);
	if (r >= 0 && p->list->source == UFFDCTL_SOURCE_BPF) {
		r = looked < 0 ? looked : visit_found(u, u->pending, add_waiter, p);
		if (r < 0)
			log_error(u, "%s", iter_why(r));
		else
			warn_of_torn(u, p, pids, nr_pids);
	} else if (r >= 0) {
		r = proc_each_number(AT_FDCWD, "/proc", add_process, &walk);
	}
	if (r < 0) {
		uffdctl_pending_free(p);
		return r;
	}
	if (pids)
		p->nr_hidden = 0;
	if (p->nr_hidden)
		log_warning(u,
			    "threads of %zu processes that you may not look into may wait too (needs CAP_SYS_PTRACE)",
			    p->nr_hidden);
	keep_wanted(p, pids, nr_pids);
	name_waiters(u, p);
	*ret = p;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_pending_free(struct uffdctl_pending *p)
{
	if (!p)
		return;
	free(p->waiters);
	uffdctl_list_free(p->list);
	strpool_free(&p->strings);
	free(p);
}

UFFDCTL_EXPORT size_t uffdctl_pending_hidden(const struct uffdctl_pending *p)
{
	return p->nr_hidden;
}

UFFDCTL_EXPORT size_t uffdctl_pending_count(const struct uffdctl_pending *p)
{
	return p->nr;
}

UFFDCTL_EXPORT const struct uffdctl_waiter *uffdctl_pending_get(const struct uffdctl_pending *p, size_t i)
{
	return i < p->nr ? &p->waiters[i] : NULL;
}

UFFDCTL_EXPORT const struct uffdctl_list *uffdctl_pending_list(const struct uffdctl_pending *p)
{
	return p->list;
}
