// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The scanner of the view: finds waiters, mappings, and processes that have ended.
 *
 * It runs in a thread with a context of its own, since a scan may take long and must not delay keys.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch/clock.h"
#include "cmd/watch/view/scanner.h"

#define EVERY_NS SECOND
#define HURRY_NS (300 * MILLISECOND)

/* Scans may use a twentieth of a CPU at most, but the interval has a limit. */
#define SHARE 20
#define RAREST_NS (5 * SECOND)

struct held {
	pid_t pid;
	struct uffdctl_target *target; /* NULL: ended, or may not be inspected */
	bool gone;
	char comm[64];
};

struct scanner {
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	bool stop, hurry;
	pid_t wanted[VIEW_MAX_TARGETS];
	size_t nr_wanted;
	struct scan done;

	/* The thread's own. */
	struct uffdctl *u;
	const pid_t *pids;
	size_t nr_pids;
	struct held held[VIEW_MAX_TARGETS];
	size_t nr_held;
	struct scan next;
};

/* ---- processes ---- */

/* Drop one that has ended, or else the oldest. */
static void make_room(struct scanner *s)
{
	size_t i = 0;

	while (i < s->nr_held && !s->held[i].gone)
		i++;
	i = i < s->nr_held ? i : 0;
	uffdctl_target_close(s->held[i].target);
	memmove(&s->held[i], &s->held[i + 1], sizeof(s->held[0]) * (--s->nr_held - i));
}

static void hold(struct scanner *s, pid_t pid)
{
	struct held *h;
	int r;

	for (size_t i = 0; i < s->nr_held; i++)
		if (s->held[i].pid == pid)
			return;
	if (s->nr_held == VIEW_MAX_TARGETS)
		make_room(s);
	h = &s->held[s->nr_held++];
	*h = (struct held){ .pid = pid };
	r = uffdctl_target_open(s->u, pid, &h->target);
	h->gone = r == -ESRCH;
	if (r >= 0)
		snprintf(h->comm, sizeof(h->comm), "%s", uffdctl_target_comm(h->target));
}

static void check_held(struct scanner *s)
{
	for (size_t i = 0; i < s->nr_held; i++) {
		struct held *h = &s->held[i];

		if (h->target && uffdctl_target_check(h->target) < 0) {
			uffdctl_target_close(h->target);
			h->target = NULL;
			h->gone = true;
		}
		s->next.targets[i] = (struct target){ .pid = h->pid, .gone = h->gone };
		memcpy(s->next.targets[i].comm, h->comm, sizeof(h->comm));
	}
	s->next.nr_targets = s->nr_held;
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

static void keep_waiter(struct scanner *s, const struct uffdctl_list *list, const struct uffdctl_waiter *w)
{
	struct waiter *to = &s->next.waiters[s->next.nr_waiters++];

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

static void scan_waiters(struct scanner *s, const struct uffdctl_pending *p)
{
	s->next.nr_waiting = uffdctl_pending_count(p);
	for (size_t i = 0; i < uffdctl_pending_count(p) && i < VIEW_MAX_WAITERS; i++) {
		const struct uffdctl_waiter *w = uffdctl_pending_get(p, i);

		keep_waiter(s, uffdctl_pending_list(p), w);
		if (!s->nr_pids && w->target_pid)
			hold(s, w->target_pid);
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

static void scan_mappings(struct scanner *s, struct held *h, const struct uffdctl_list *list)
{
	const struct uffdctl_maps_opts opts = { .size = sizeof(opts), .list = list };
	struct uffdctl_maps *maps;

	if (!h->target || uffdctl_maps(h->target, &opts, &maps) < 0)
		return;
	for (size_t i = 0; i < uffdctl_maps_count(maps) && s->next.nr_mappings < VIEW_MAX_MAPPINGS; i++) {
		const struct uffdctl_vma *v = uffdctl_maps_get(maps, i);
		struct mapping_info *info = &s->next.mappings[s->next.nr_mappings];
		char label[UFFDCTL_LABEL_BYTES];

		if (!v->modes)
			continue;
		s->next.nr_mappings++;
		info->pid = h->pid;
		info->range = v->range;
		info->page_size = v->page_size;
		info->modes = v->modes;
		info->offset = v->inode ? v->offset : UFFDCTL_UNKNOWN;
		snprintf(info->name, sizeof(info->name), "%s", uffdctl_vma_label(v, label) ?: "");
		add_holders(list, v->ctx, info->holders, sizeof(info->holders));
	}
	uffdctl_maps_free(maps);
}

/* ---- the thread ---- */

/* Those of the given processes that still exist; of all if none was given. */
static int find_waiters(struct scanner *s, struct uffdctl_pending **ret)
{
	struct uffdctl_find_opts opts = { .size = sizeof(opts) };
	pid_t there[VIEW_MAX_TARGETS];

	if (!s->nr_pids)
		return uffdctl_pending(s->u, NULL, ret);
	opts.pids = there;
	for (size_t i = 0; i < s->nr_held; i++)
		if (s->held[i].target)
			there[opts.nr_pids++] = s->held[i].pid;
	return opts.nr_pids ? uffdctl_pending(s->u, &opts, ret) : -ESRCH;
}

static void scan(struct scanner *s)
{
	struct uffdctl_pending *p = NULL;

	check_held(s);
	s->next.nr_waiters = s->next.nr_waiting = s->next.nr_mappings = 0;
	if (find_waiters(s, &p) == 0) {
		scan_waiters(s, p);
		for (size_t i = 0; i < s->nr_held; i++)
			scan_mappings(s, &s->held[i], uffdctl_pending_list(p));
	}
	uffdctl_pending_free(p);
	s->next.ns = monotonic_ns();
	s->next.number++;
}

static struct timespec after_ns(uint64_t ns)
{
	uint64_t at = monotonic_ns() + ns;

	return (struct timespec){ (time_t)(at / SECOND), (long)(at % SECOND) };
}

/* Wait until it is time, or until asked to hurry; false: end. */
static bool wait_for_next(struct scanner *s, uint64_t cost_ns)
{
	uint64_t rest = cost_ns * SHARE < RAREST_NS ? cost_ns * SHARE : RAREST_NS;
	uint64_t least = rest > HURRY_NS ? rest : HURRY_NS, most = rest > EVERY_NS ? rest : EVERY_NS;
	struct timespec soon = after_ns(least), late = after_ns(most);
	pid_t wanted[VIEW_MAX_TARGETS];
	size_t nr_wanted;
	bool on;

	pthread_mutex_lock(&s->lock);
	while (!s->stop && pthread_cond_clockwait(&s->changed, &s->lock, CLOCK_MONOTONIC, &soon) != ETIMEDOUT)
		;
	while (!s->stop && !s->hurry &&
	       pthread_cond_clockwait(&s->changed, &s->lock, CLOCK_MONOTONIC, &late) != ETIMEDOUT)
		;
	s->hurry = false;
	nr_wanted = s->nr_wanted;
	memcpy(wanted, s->wanted, nr_wanted * sizeof(*wanted));
	on = !s->stop;
	pthread_mutex_unlock(&s->lock);
	/* This reads /proc, and the main thread must not wait for the lock meanwhile. */
	for (size_t i = 0; i < nr_wanted; i++)
		hold(s, wanted[i]);
	return on;
}

static void *run(void *arg)
{
	struct scanner *s = arg;
	uint64_t began;

	for (size_t i = 0; i < s->nr_pids && i < VIEW_MAX_TARGETS; i++)
		hold(s, s->pids[i]);
	do {
		/* Use CPU time: on a busy machine a scan takes longer, but costs the same. */
		began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		scan(s);
		pthread_mutex_lock(&s->lock);
		s->done = s->next;
		pthread_mutex_unlock(&s->lock);
	} while (wait_for_next(s, clock_ns(CLOCK_THREAD_CPUTIME_ID) - began));
	return NULL;
}

int scanner_start(const pid_t *pids, size_t nr_pids, struct scanner **ret)
{
	struct scanner *s = calloc(1, sizeof(*s));
	sigset_t all, old;
	int r;

	if (!s)
		return -ENOMEM;
	s->pids = pids;
	s->nr_pids = nr_pids;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	r = uffdctl_new(&s->u);
	/* The main thread handles signals: here, a signal would interrupt the loading of a BPF program. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (r == 0)
		r = -pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0) {
		uffdctl_free(s->u);
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void scanner_stop(struct scanner *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	for (size_t i = 0; i < s->nr_held; i++)
		uffdctl_target_close(s->held[i].target);
	uffdctl_free(s->u);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->changed);
	free(s);
}

void scanner_ask(struct scanner *s, const pid_t *pids, size_t nr_pids, bool hurry)
{
	pthread_mutex_lock(&s->lock);
	memcpy(s->wanted, pids, nr_pids * sizeof(*pids));
	s->nr_wanted = nr_pids;
	s->hurry |= hurry;
	if (hurry)
		pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

bool scanner_take(struct scanner *s, uint32_t number, struct scan *ret)
{
	bool news;

	pthread_mutex_lock(&s->lock);
	news = s->done.number != number;
	if (news)
		*ret = s->done;
	pthread_mutex_unlock(&s->lock);
	return news;
}
