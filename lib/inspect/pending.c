// SPDX-License-Identifier: LGPL-2.1-or-later
/* Threads that wait on userfaultfds now. */
#include <inttypes.h>
#include <string.h>

#include "lib/inspect/handlers.h"
#include "lib/inspect/maps.h"
#include "lib/inspect/pending_build.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/source.h"
#include "lib/kernel/waiters.h"
#include "lib/log.h"

/* ---- names of mappings ---- */

static void name_waiter(struct uffdctl_pending *p, struct uffdctl_waiter *w, const struct uffdctl_maps *maps)
{
	const struct uffdctl_vma *v = w->addr == UFFDCTL_UNKNOWN ? NULL : maps_at(maps, w->addr);
	char buf[UFFDCTL_LABEL_BYTES];
	const char *label;

	if (!v)
		return;
	label = uffdctl_vma_label(v, buf);
	w->name = label ? strpool_get(&p->strings, label) : NULL;
	w->offset = vma_offset(v, w->addr);
}

static void name_waiters_of(struct uffdctl *u, struct uffdctl_pending *p, pid_t pid)
{
	struct uffdctl_maps *maps;

	/* If a process has ended meanwhile, or may not be inspected, names stay unknown. */
	if (maps_of_process(u, pid, UFFDCTL_SOURCE_AUTO, &maps) < 0)
		return;
	for (size_t i = 0; i < p->nr; i++)
		if (p->waiters[i].target_pid == pid)
			name_waiter(p, &p->waiters[i], maps);
	uffdctl_maps_free(maps);
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

/* ---- which of them ---- */

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

/* A userfaultfd that was made after the list may belong to any process. */
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

/* Name each by its holders; the rows of other userfaultfds are complete. */
static void warn_of_torn(struct uffdctl *u, const struct uffdctl_pending *p, const pid_t *pids, size_t nr_pids)
{
	uint64_t ids[EV_MAX_TORN], nr = waiters_torn(u, ids, ARRAY_SIZE(ids));

	for (size_t i = 0; i < nr && i < EV_MAX_TORN; i++) {
		uint32_t ctx = list_ctx(p->list, ids[i]);
		_cleanup_free_ char *holders = ctx == UFFDCTL_CTX_UNHELD ? NULL : list_holders(p->list, ctx);

		if (concerns(p->list, ctx, pids, nr_pids))
			log_warning(u,
				    "userfaultfd %s: its queues change faster than they can be read, so threads that were queued last may be missing: try again",
				    holders ?: "of a new process");
	}
	if (nr > EV_MAX_TORN)
		log_warning(u, "threads that wait on %" PRIu64 " more userfaultfds may be missing too: try again",
			    nr - EV_MAX_TORN);
}

static bool names_pid(const struct uffdctl_list *l, const struct uffdctl_waiter *w, const pid_t *pids, size_t nr_pids)
{
	for (size_t k = 0; k < nr_pids; k++)
		if (w->pid == pids[k] || w->target_pid == pids[k] || holds(l, pids[k], w->ctx))
			return true;
	return false;
}

/* The others are kept behind them. */
static void choose_wanted(struct uffdctl_pending *p, const pid_t *pids, size_t nr_pids)
{
	size_t n = 0;

	p->nr_all = p->nr;
	for (size_t i = 0; pids && i < p->nr_all; i++) {
		struct uffdctl_waiter w = p->waiters[i];

		if (!names_pid(p->list, &w, pids, nr_pids))
			continue;
		p->waiters[i] = p->waiters[n];
		p->waiters[n++] = w;
	}
	if (pids)
		p->nr = n;
	if (p->nr)
		qsort(p->waiters, p->nr, sizeof(*p->waiters), cmp_slept);
}

/* ---- all ---- */

static int gather(struct uffdctl *u, enum uffdctl_source wanted, struct uffdctl_pending *p)
{
	enum uffdctl_source source;
	int r = source_choose(u, wanted, &source, NULL), found = r;

	/*
	 * Do this before listing the userfaultfds: so one that is made meanwhile, and has waiters here, is in the
	 * list.
	 */
	if (r >= 0 && source == UFFDCTL_SOURCE_BPF)
		found = waiters_find(u);
	r = list_open(u, wanted, true, &p->list);
	if (r < 0)
		return r;
	if (p->list->source == UFFDCTL_SOURCE_PROC)
		return (r = pending_from_proc(p)) < 0 ? fail(u, r, "/proc: %s", strerror(-r)) : 0;
	r = found < 0 ? found : pending_from_bpf(u, p);
	return r < 0 ? fail(u, r, "%s", iter_why(u, r)) : 0;
}

UFFDCTL_EXPORT int uffdctl_pending(struct uffdctl *u, const struct uffdctl_find_opts *opts,
				   struct uffdctl_pending **ret)
{
	struct uffdctl_find_opts o;
	struct uffdctl_pending *p;
	int r = list_opts(u, opts, &o);

	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return log_oom(u);
	r = gather(u, o.source, p);
	if (r < 0) {
		uffdctl_pending_free(p);
		return r;
	}
	if (p->list->source == UFFDCTL_SOURCE_BPF)
		warn_of_torn(u, p, o.pids, o.nr_pids);
	if (o.pids)
		p->nr_hidden = 0;
	if (p->nr_hidden)
		log_warning(u, "threads of %zu processes that you may not inspect may wait too%s", p->nr_hidden,
			    iter_remedy(u));
	choose_wanted(p, o.pids, o.nr_pids);
	name_waiters(u, p);
	if (o.flags & UFFDCTL_FIND_HANDLERS && handlers_find(u, p) < 0) {
		uffdctl_pending_free(p);
		return log_oom(u);
	}
	*ret = p;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_pending_free(struct uffdctl_pending *p)
{
	if (!p)
		return;
	free(p->waiters);
	free(p->handlers);
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

UFFDCTL_EXPORT size_t uffdctl_pending_handlers(const struct uffdctl_pending *p)
{
	return p->nr_handlers;
}

UFFDCTL_EXPORT const struct uffdctl_handler *uffdctl_pending_handler(const struct uffdctl_pending *p, size_t i)
{
	return i < p->nr_handlers ? &p->handlers[i] : NULL;
}

UFFDCTL_EXPORT const struct uffdctl_list *uffdctl_pending_list(const struct uffdctl_pending *p)
{
	return p->list;
}
