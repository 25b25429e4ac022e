// SPDX-License-Identifier: LGPL-2.1-or-later
/* Totals by thread, by team and by resolver, and of ioctls that failed. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/log.h"
#include "lib/util.h"
#include "lib/watch/watch.h"

/* The programs write while we read. */
#define NOW(n) __atomic_load_n(&(n), __ATOMIC_RELAXED)

/* The array of a map, which is mapped on first use; NULL if that fails, which is logged. */
static const void *array_of(struct uffdctl_watch *w, const void **mapped, int fd, size_t bytes)
{
	void *p = *mapped ? NULL : mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		log_error(w->u, "mapping totals: %s", strerror(errno));
	else if (p)
		*mapped = p;
	return *mapped;
}

/* Its next item whose number of something is not 0, from place *at on; NULL: there is none. */
#define NEXT(w, array, number, fd, max, at)                                                                           \
	__extension__({                                                                                               \
		const __typeof__((array)[0]) *_all = array_of(w, (const void **)&(array), fd, (max) * sizeof(*_all)); \
                                                                                                                      \
		while (_all && *(at) < (max) && !NOW(_all[*(at)].number))                                             \
			++*(at);                                                                                      \
		_all &&*(at) < (max) ? &_all[(*(at))++] : NULL;                                                       \
	})

UFFDCTL_EXPORT const struct uffdctl_thread_totals *uffdctl_watch_thread(struct uffdctl_watch *w, size_t *at)
{
	const struct ev_thread *ev = NEXT(w, w->tally.threads, faults, w->threads_fd, EV_MAX_THREADS, at);

	if (!ev)
		return NULL;
	w->tally.thread = (struct uffdctl_thread_totals){
		.pid = ev->pid,
		.tid = ev->tid,
		.faults = NOW(ev->faults),
		.wait_ns = NOW(ev->wait_ns),
	};
	memcpy(w->tally.thread.comm, ev->comm, sizeof(ev->comm) - 1);
	return &w->tally.thread;
}

UFFDCTL_EXPORT const struct uffdctl_team_totals *uffdctl_watch_team(struct uffdctl_watch *w, size_t *at)
{
	const struct ev_team *ev = NEXT(w, w->tally.teams, faults, w->teams_fd, EV_MAX_TEAMS, at);

	if (!ev)
		return NULL;
	w->tally.team = (struct uffdctl_team_totals){
		.pid = ev->pid,
		.threads = NOW(ev->nr_threads),
		.faults = NOW(ev->faults),
		.wait_ns = NOW(ev->wait_ns),
		.all_wait_ns = NOW(ev->all_ns),
	};
	memcpy(w->tally.team.name, ev->name, sizeof(ev->name) - 1);
	return &w->tally.team;
}

static void add_buckets(uint64_t *to, const __u64 *from)
{
	for (int i = 0; i < EV_NR_BUCKETS; i++)
		to[i] += NOW(from[i]);
}

UFFDCTL_EXPORT const struct uffdctl_resolver_totals *uffdctl_watch_resolver(struct uffdctl_watch *w, size_t *at)
{
	const struct ev_resolver *ev = NEXT(w, w->tally.resolvers, faults, w->resolvers_fd, EV_MAX_RESOLVERS, at);
	struct uffdctl_resolver_totals *r = &w->tally.resolver;

	if (!ev)
		return NULL;
	*r = (struct uffdctl_resolver_totals){
		.pid = ev->pid,
		.tid = ev->tid,
		.faults = NOW(ev->faults),
		.max_wait_ns = NOW(ev->max_ns[EV_WAIT]),
		.max_queued_ns = NOW(ev->max_ns[EV_WAIT_QUEUED]),
		.max_handled_ns = NOW(ev->max_ns[EV_WAIT_HANDLED]),
	};
	memcpy(r->comm, ev->comm, sizeof(ev->comm) - 1);
	add_buckets(r->waits, ev->buckets[EV_WAIT]);
	add_buckets(r->queued, ev->buckets[EV_WAIT_QUEUED]);
	add_buckets(r->handled, ev->buckets[EV_WAIT_HANDLED]);
	return r;
}

UFFDCTL_EXPORT const struct uffdctl_failure_totals *uffdctl_watch_failure(struct uffdctl_watch *w, size_t *at)
{
	const struct ev_failure *ev = NEXT(w, w->tally.failures, count, w->failures_fd, EV_MAX_FAILURES, at);

	if (!ev)
		return NULL;
	w->tally.failure = (struct uffdctl_failure_totals){
		.pid = ev->pid,
		.tid = ev->tid,
		.op = ev->op,
		.error = (int)ev->err,
		.count = NOW(ev->count),
	};
	memcpy(w->tally.failure.comm, ev->comm, sizeof(ev->comm) - 1);
	return &w->tally.failure;
}

static uint64_t sum_failures(struct uffdctl_watch *w)
{
	const struct uffdctl_failure_totals *f;
	uint64_t sum = 0;

	if (!(w->backend->flags & WATCH_FAILURES))
		return UFFDCTL_UNKNOWN;
	for (size_t at = 0; (f = uffdctl_watch_failure(w, &at));)
		sum += f->count;
	return sum;
}

static uint64_t sum_waits(struct uffdctl_watch *w)
{
	const struct uffdctl_thread_totals *t;
	uint64_t sum = 0;

	for (size_t at = 0; (t = uffdctl_watch_thread(w, &at));)
		sum += t->wait_ns;
	return sum;
}

int watch_sum_tally(struct uffdctl_watch *w, struct uffdctl_watch_stats *ret)
{
	const struct ev_resolver *all =
		array_of(w, (const void **)&w->tally.resolvers, w->resolvers_fd, EV_MAX_RESOLVERS * sizeof(*all));

	if (!all)
		return -ENOMEM;
	ret->failed_ioctls = sum_failures(w);
	ret->sum_wait_ns = sum_waits(w);
	for (int i = 0; i < EV_MAX_RESOLVERS; i++) {
		if (i != EV_NO_RESOLVER && !NOW(all[i].faults))
			continue;
		add_buckets(ret->buckets, all[i].buckets[EV_WAIT]);
		add_buckets(ret->queued, all[i].buckets[EV_WAIT_QUEUED]);
		add_buckets(ret->handled, all[i].buckets[EV_WAIT_HANDLED]);
		ret->max_wait_ns = MAX(ret->max_wait_ns, NOW(all[i].max_ns[EV_WAIT]));
		ret->max_queued_ns = MAX(ret->max_queued_ns, NOW(all[i].max_ns[EV_WAIT_QUEUED]));
		ret->max_handled_ns = MAX(ret->max_handled_ns, NOW(all[i].max_ns[EV_WAIT_HANDLED]));
	}
	return 0;
}

static void unmap(const void *p, size_t bytes)
{
	if (p)
		munmap((void *)p, bytes);
}

void watch_tally_free(struct uffdctl_watch *w)
{
	unmap(w->tally.threads, EV_MAX_THREADS * sizeof(struct ev_thread));
	unmap(w->tally.teams, EV_MAX_TEAMS * sizeof(struct ev_team));
	unmap(w->tally.resolvers, EV_MAX_RESOLVERS * sizeof(struct ev_resolver));
	unmap(w->tally.failures, EV_MAX_FAILURES * sizeof(struct ev_failure));
}
