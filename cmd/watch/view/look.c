// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Looking around for the view: which threads wait, which mappings there are, who has ended.
 *
 * In a thread with a context of its own, since a look may take long and keys shall not wait for it.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "cmd/watch/view/view.h"

#define EVERY_NS SECOND
#define HURRY_NS UINT64_C(300000000)

/* Looking costs a twentieth of a CPU at most, as long as that leaves something to look at. */
#define SHARE 20
#define RAREST_NS (5 * SECOND)

struct held {
	pid_t pid;
	struct uffdctl_target *target; /* NULL: gone, or may not be looked at */
	bool gone;
	char comm[64];
};

struct looker {
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	bool stop, hurry;
	pid_t wanted[VIEW_MAX_TARGETS];
	size_t nr_wanted;
	struct look done;

	/* The thread's own. */
	struct uffdctl *u;
	const pid_t *pids;
	size_t nr_pids;
	struct held held[VIEW_MAX_TARGETS];
	size_t nr_held;
	struct look next;
};

/* ---- processes ---- */

/* One that is gone, or the eldest. */
static void make_room(struct looker *l)
{
	size_t i = 0;

	while (i < l->nr_held && !l->held[i].gone)
		i++;
	i = i < l->nr_held ? i : 0;
	uffdctl_target_close(l->held[i].target);
	memmove(&l->held[i], &l->held[i + 1], sizeof(l->held[0]) * (--l->nr_held - i));
}

static void hold(struct looker *l, pid_t pid)
{
	struct held *h;

	for (size_t i = 0; i < l->nr_held; i++)
		if (l->held[i].pid == pid)
			return;
	if (l->nr_held == VIEW_MAX_TARGETS)
		make_room(l);
	h = &l->held[l->nr_held++];
	*h = (struct held){ .pid = pid };
	if (uffdctl_target_open(l->u, pid, &h->target) < 0) {
		h->gone = true;
		return;
	}
	snprintf(h->comm, sizeof(h->comm), "%s", uffdctl_target_comm(h->target));
}

static void check_held(struct looker *l)
{
	for (size_t i = 0; i < l->nr_held; i++) {
		struct held *h = &l->held[i];

		if (h->target && uffdctl_target_check(h->target) < 0) {
			uffdctl_target_close(h->target);
			h->target = NULL;
			h->gone = true;
		}
		l->next.targets[i] = (struct target){ .pid = h->pid, .gone = h->gone };
		memcpy(l->next.targets[i].comm, h->comm, sizeof(h->comm));
	}
	l->next.nr_targets = l->nr_held;
}

/* ---- threads that wait ---- */

static void find_holder(const struct uffdctl_list *list, const struct uffdctl_waiter *w, struct waiter *ret)
{
	for (size_t i = 0; w->ctx && i < uffdctl_list_count(list); i++) {
		const struct uffdctl_uffd *d = uffdctl_list_get(list, i);

		if (d->ctx != w->ctx || (ret->holder_pid && d->pid != w->target_pid))
			continue;
		ret->holder_pid = d->pid;
		ret->holder_fd = d->fd;
	}
}

static void keep_waiter(struct looker *l, const struct uffdctl_list *list, const struct uffdctl_waiter *w)
{
	struct waiter *to = &l->next.waiters[l->next.nr_waiters++];

	*to = (struct waiter){ .pid = w->pid,
			       .tid = w->tid,
			       .target_pid = w->target_pid,
			       .addr = w->addr,
			       .offset = w->offset,
			       .slept_ns = w->slept_ns,
			       .kind = w->kind,
			       .access = w->access,
			       .state = w->state };
	memcpy(to->comm, w->comm, sizeof(to->comm));
	snprintf(to->name, sizeof(to->name), "%s", w->name ?: "");
	find_holder(list, w, to);
}

static void look_at_waiters(struct looker *l, const struct uffdctl_pending *p)
{
	l->next.nr_waiting = uffdctl_pending_count(p);
	for (size_t i = 0; i < uffdctl_pending_count(p) && i < VIEW_MAX_WAITERS; i++) {
		const struct uffdctl_waiter *w = uffdctl_pending_get(p, i);

		keep_waiter(l, uffdctl_pending_list(p), w);
		if (!l->nr_pids && w->target_pid)
			hold(l, w->target_pid);
	}
}

/* ---- mappings ---- */

static void add_holders(const struct uffdctl_list *list, uint32_t ctx, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; ctx && i < uffdctl_list_count(list); i++) {
		const struct uffdctl_uffd *d = uffdctl_list_get(list, i);

		if (d->ctx == ctx && len < size)
			len += (size_t)snprintf(buf + len, size - len, "%s%d:%d", len ? " " : "", d->pid, d->fd);
	}
}

static void look_at_mappings(struct looker *l, struct held *h, const struct uffdctl_list *list)
{
	struct uffdctl_maps *maps;

	if (!h->target || uffdctl_maps(h->target, UFFDCTL_SOURCE_AUTO, 0, list, &maps) < 0)
		return;
	for (size_t i = 0; i < uffdctl_maps_count(maps) && l->next.nr_mappings < VIEW_MAX_MAPPINGS; i++) {
		const struct uffdctl_vma *v = uffdctl_maps_get(maps, i);
		struct mapping_info *info = &l->next.mappings[l->next.nr_mappings];

		if (!v->modes)
			continue;
		l->next.nr_mappings++;
		info->pid = h->pid;
		info->range = v->range;
		info->page_size = v->page_size;
		info->modes = v->modes;
		info->offset = v->inode ? v->offset : UFFDCTL_UNKNOWN;
		snprintf(info->name, sizeof(info->name), "%s", v->name ?: "");
		add_holders(list, v->ctx, info->holders, sizeof(info->holders));
	}
	uffdctl_maps_free(maps);
}

/* ---- the thread ---- */

/* Of those that were named, the ones that are still there; all when none was. */
static int find_waiters(struct looker *l, struct uffdctl_pending **ret)
{
	pid_t there[VIEW_MAX_TARGETS];
	size_t nr = 0;

	if (!l->nr_pids)
		return uffdctl_pending(l->u, UFFDCTL_SOURCE_AUTO, NULL, 0, ret);
	for (size_t i = 0; i < l->nr_held; i++)
		if (l->held[i].target)
			there[nr++] = l->held[i].pid;
	return nr ? uffdctl_pending(l->u, UFFDCTL_SOURCE_AUTO, there, nr, ret) : -ESRCH;
}

static void look(struct looker *l)
{
	struct uffdctl_pending *p = NULL;

	check_held(l);
	l->next.nr_waiters = l->next.nr_waiting = l->next.nr_mappings = 0;
	if (find_waiters(l, &p) == 0) {
		look_at_waiters(l, p);
		for (size_t i = 0; i < l->nr_held; i++)
			look_at_mappings(l, &l->held[i], uffdctl_pending_list(p));
	}
	uffdctl_pending_free(p);
	l->next.ns = monotonic_ns();
	l->next.number++;
}

static struct timespec after_ns(uint64_t ns)
{
	uint64_t at = monotonic_ns() + ns;

	return (struct timespec){ (time_t)(at / SECOND), (long)(at % SECOND) };
}

/* Until it is time, or somebody is in a hurry; false to end. */
static bool wait_for_next(struct looker *l, uint64_t cost_ns)
{
	uint64_t rest = cost_ns * SHARE < RAREST_NS ? cost_ns * SHARE : RAREST_NS;
	uint64_t least = rest > HURRY_NS ? rest : HURRY_NS, most = rest > EVERY_NS ? rest : EVERY_NS;
	struct timespec soon = after_ns(least), late = after_ns(most);
	bool on;

	pthread_mutex_lock(&l->lock);
	while (!l->stop && pthread_cond_clockwait(&l->changed, &l->lock, CLOCK_MONOTONIC, &soon) != ETIMEDOUT)
		;
	while (!l->stop && !l->hurry &&
	       pthread_cond_clockwait(&l->changed, &l->lock, CLOCK_MONOTONIC, &late) != ETIMEDOUT)
		;
	l->hurry = false;
	for (size_t i = 0; i < l->nr_wanted; i++)
		hold(l, l->wanted[i]);
	on = !l->stop;
	pthread_mutex_unlock(&l->lock);
	return on;
}

/* On a busy machine a look takes long, and costs no more than elsewhere. */
static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

static void *run(void *arg)
{
	struct looker *l = arg;
	uint64_t began;

	for (size_t i = 0; i < l->nr_pids && i < VIEW_MAX_TARGETS; i++)
		hold(l, l->pids[i]);
	do {
		began = cpu_ns();
		look(l);
		pthread_mutex_lock(&l->lock);
		l->done = l->next;
		pthread_mutex_unlock(&l->lock);
	} while (wait_for_next(l, cpu_ns() - began));
	return NULL;
}

int looker_start(const pid_t *pids, size_t nr_pids, struct looker **ret)
{
	struct looker *l = calloc(1, sizeof(*l));
	sigset_t all, old;
	int r;

	if (!l)
		return -ENOMEM;
	l->pids = pids;
	l->nr_pids = nr_pids;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	r = uffdctl_new(&l->u);
	/* Signals are the main thread's: here one would make the kernel give up loading a BPF program. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (r == 0)
		r = -pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0) {
		uffdctl_free(l->u);
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void looker_stop(struct looker *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->changed);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
	for (size_t i = 0; i < l->nr_held; i++)
		uffdctl_target_close(l->held[i].target);
	uffdctl_free(l->u);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->changed);
	free(l);
}

void looker_tell(struct looker *l, const pid_t *pids, size_t nr_pids, bool hurry)
{
	pthread_mutex_lock(&l->lock);
	memcpy(l->wanted, pids, nr_pids * sizeof(*pids));
	l->nr_wanted = nr_pids;
	l->hurry |= hurry;
	if (hurry)
		pthread_cond_signal(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

bool looker_take(struct looker *l, uint32_t number, struct look *ret)
{
	bool news;

	pthread_mutex_lock(&l->lock);
	news = l->done.number != number;
	if (news)
		*ret = l->done;
	pthread_mutex_unlock(&l->lock);
	return news;
}
