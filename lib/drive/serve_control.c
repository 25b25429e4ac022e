// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: the thread that sees to it that all goes on, and that it ends. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "lib/drive/serve_control.h"
#include "lib/drive/serve_hold.h"
#include "lib/drive/serve_memory.h"
#include "lib/drive/serve_prefetch.h"
#include "lib/drive/serve_register.h"
#include "lib/drive/serve_state.h"
#include "lib/drive/serve_store.h"
#include "lib/drive/serve_work.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/uffd.h"

/* execve(2) shows only by looking, and it is followed by no harm: the memory that we know is gone. */
#define LOOK_MS 1000
#define EXIT_MS 500
#define RETRY_NS UINT64_C(5000000000)

/* The list grows at its beginning only, until all have ended. */
struct serve_memory *serve_memories(struct uffdctl_serve *s)
{
	struct serve_memory *m;

	pthread_mutex_lock(&s->lock);
	m = s->memories;
	pthread_mutex_unlock(&s->lock);
	return m;
}

static int unregister_child(const struct serve_memory *m)
{
	int r = 0;

	for (size_t i = 0; i < m->nr; i++) {
		struct uffdctl_range range = m->parts[i]->part->seg.range;
		int err = uffd_unregister(m->h.uffd, range);

		uffd_wake(m->h.uffd, range);
		if (err < 0 && err != -ENOMEM && err != -ESRCH && !uffd_memory_is_gone(m->h.uffd))
			r = err;
	}
	return r;
}

static void unregister_all(struct uffdctl_serve *s)
{
	for (struct serve_memory *m = serve_memories(s); m; m = m->next) {
		int err = m->is_child ? unregister_child(m) : serve_unregister_parts(m);

		if (err < 0)
			serve_note(s, UFFDCTL_LOG_ERROR, err, serve_nowhere,
				   "%d: unregistering: %s: threads that fault there will wait: type uffdctl unregister %d all",
				   s->h->t->pid, strerror(-err), s->h->t->pid);
	}
}

/* ---- ending ---- */

/*
 * Who waits for what we have read faults again, now that nobody of ours reads: another handler gets the message. Once
 * before the workers end, for one of them may wait for its contents for ever, and once after that.
 */
void serve_end_workers(struct uffdctl_serve *s)
{
	struct serve_memory *m;

	uffdctl_serve_stop(s);
	for (m = serve_memories(s); m; m = m->next)
		memory_wake_all(m);
	if (s->prefaulter)
		worker_join(s->prefaulter);
	prefetch_join(s);
	/* A worker that ends may have taken in a fork. */
	for (struct serve_memory *first = NULL; first != serve_memories(s);) {
		first = serve_memories(s);
		for (m = first; m; m = m->next)
			workers_join(m);
	}
	for (m = serve_memories(s); m; m = m->next) {
		hold_look(m, false);
		memory_wake_all(m);
	}
}

/* A process that ends has no memory any more a little before it has ended. */
static bool has_ended(const struct uffdctl_serve *s)
{
	struct pollfd p = { .fd = s->h->t->pidfd, .events = POLLIN };

	return poll(&p, 1, EXIT_MS) > 0;
}

static void carry_out(struct uffdctl_serve *s, enum uffdctl_serve_end end)
{
	int err = 0;

	if (end == UFFDCTL_SERVE_FAILED && s->opts.on_error == UFFDCTL_ON_ERROR_RELEASE)
		unregister_all(s);
	if (end == UFFDCTL_SERVE_FAILED && s->opts.on_error == UFFDCTL_ON_ERROR_KILL)
		err = pidfd_kill(s->h->t->pidfd, SIGKILL);
	serve_register_end(s, end);
	if (err < 0)
		serve_note(s, UFFDCTL_LOG_ERROR, err, serve_nowhere, "%d: killing the process: %s", s->h->t->pid,
			   strerror(-err));
	if (end == UFFDCTL_SERVE_GONE || end == UFFDCTL_SERVE_COMPLETE)
		state_remove(s);
	if (end == UFFDCTL_SERVE_GONE)
		serve_note(s, UFFDCTL_LOG_NOTICE, 0, serve_nowhere, "%d: %s", s->h->t->pid,
			   has_ended(s) ? "the process has ended" : "the process has started another program (execve)");
}

/* ---- what goes on ---- */

void serve_add_counts(struct serve_counts *sum, const struct serve_counts *n)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)n;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

struct serve_memory *serve_next_child(struct uffdctl_serve *s, const struct serve_memory *child)
{
	struct serve_memory *m;

	pthread_mutex_lock(&s->lock);
	m = child ? child->next : s->memories;
	while (m->is_child && __atomic_load_n(&m->gone, __ATOMIC_ACQUIRE))
		m = m->next;
	s->visited = m = m->is_child ? m : NULL;
	pthread_mutex_unlock(&s->lock);
	return m;
}

/* False: not yet. */
static bool unlink_memory(struct uffdctl_serve *s, const struct serve_memory *m)
{
	struct serve_memory **at = &s->memories;
	bool visited;

	pthread_mutex_lock(&s->lock);
	visited = s->visited == m;
	if (!visited) {
		while (*at != m)
			at = &(*at)->next;
		*at = m->next;
		for (size_t i = 0; i < memory_nr_workers(m); i++)
			serve_add_counts(&s->past, &m->workers[i].counts);
	}
	pthread_mutex_unlock(&s->lock);
	return !visited;
}

/* Children that have ended: each holds a descriptor of ours. Nobody else takes one out of the list. */
static void reap(struct uffdctl_serve *s)
{
	struct serve_memory *m = serve_memories(s), *next;

	for (; m; m = next) {
		next = m->next;
		if (!m->is_child || !__atomic_load_n(&m->gone, __ATOMIC_ACQUIRE))
			continue;
		workers_join(m);
		if (!unlink_memory(s, m))
			continue;
		stores_free(s, m);
		memory_free(m);
	}
}

/* Those that have come by a fork. Each is one thread's: children seldom live long, and may be many. */
static void start_new(struct uffdctl_serve *s)
{
	for (struct serve_memory *m = serve_memories(s); m->is_child; m = m->next) {
		int r = memory_nr_workers(m) || serve_stopping(s) ? 0 : workers_start(m, 1);

		if (r >= 0)
			continue;
		serve_note(s, UFFDCTL_LOG_ERROR, r, serve_nowhere, "%d: starting a thread for a child: %s",
			   s->h->t->pid, strerror(-r));
		__atomic_store_n(&s->failed, r, __ATOMIC_RELEASE);
	}
}

static bool any_lives(struct uffdctl_serve *s)
{
	for (struct serve_memory *m = serve_memories(s); m; m = m->next)
		if (m->is_child && !__atomic_load_n(&m->gone, __ATOMIC_ACQUIRE))
			return true;
	return !target_is_gone(s->h->t);
}

/* Once unregistered, a child would have zeros for what it lacks. */
static bool children_are_complete(struct uffdctl_serve *s)
{
	for (struct serve_memory *m = serve_memories(s); m->is_child; m = m->next)
		if (!__atomic_load_n(&m->gone, __ATOMIC_ACQUIRE) && !memory_is_filled(m))
			return false;
	return true;
}

static bool is_complete(struct uffdctl_serve *s)
{
	if (!(s->opts.flags & UFFDCTL_SERVE_UNTIL_COMPLETE))
		return false;
	if (!s->fills)
		return __atomic_load_n(&s->prefault_ended, __ATOMIC_ACQUIRE);
	return __atomic_load_n(&s->done_bytes, __ATOMIC_ACQUIRE) + s->already_bytes >= s->total_bytes &&
	       children_are_complete(s);
}

/* Messages that are still to be read, also those that a fork is about to send. */
static bool has_messages(struct uffdctl_serve *s)
{
	bool has = false;

	for (struct serve_memory *m = serve_memories(s); m && !has; m = m->next) {
		struct pollfd p = { .fd = m->h.uffd, .events = POLLIN };

		if (!__atomic_load_n(&m->gone, __ATOMIC_ACQUIRE))
			has = (poll(&p, 1, 0) > 0 && p.revents & POLLIN) || uffd_is_changing(m->h.uffd);
	}
	return has;
}

/*
 * Let all go free, while there are still workers: a fork that has begun before waits until its message is read, and
 * its child may lack pages. False: there are messages still.
 */
static bool set_free(struct uffdctl_serve *s)
{
	unregister_all(s);
	s->nr_own = 0;
	if (!has_messages(s))
		return true;
	nanosleep(&(struct timespec){ .tv_nsec = 1000L * 1000 }, NULL);
	serve_poke(s);
	return false;
}

static enum uffdctl_serve_end look(struct uffdctl_serve *s)
{
	if (__atomic_load_n(&s->failed, __ATOMIC_ACQUIRE))
		return UFFDCTL_SERVE_FAILED;
	if (!any_lives(s))
		return UFFDCTL_SERVE_GONE;
	if (serve_stopping(s) || (s->opts.stop && s->opts.stop(s->opts.data)))
		return UFFDCTL_SERVE_STOPPED;
	return is_complete(s) && set_free(s) && is_complete(s) ? UFFDCTL_SERVE_COMPLETE : UFFDCTL_SERVE_RUNS;
}

static void wait_for_news(struct uffdctl_serve *s)
{
	struct pollfd p[] = { { .fd = s->poke_fd, .events = POLLIN }, { .fd = s->h->t->pidfd, .events = POLLIN } };
	uint64_t n;

	/* After the process has ended, children may still be served. */
	if (poll(p, pidfd_exited(s->h->t->pidfd) ? 1 : 2, LOOK_MS) > 0 && p[0].revents &&
	    read(s->poke_fd, &n, sizeof(n)) < 0)
		return;
}

static void *control(void *arg)
{
	struct uffdctl_serve *s = arg;
	enum uffdctl_serve_end end;
	uint64_t retried = now_ns(CLOCK_MONOTONIC);
	bool tries;

	while ((end = look(s)) == UFFDCTL_SERVE_RUNS) {
		wait_for_news(s);
		start_new(s);
		reap(s);
		tries = now_ns(CLOCK_MONOTONIC) - retried >= RETRY_NS;
		for (struct serve_memory *m = serve_memories(s); m; m = m->next)
			hold_look(m, tries);
		retried = tries ? now_ns(CLOCK_MONOTONIC) : retried;
	}
	serve_end_workers(s);
	carry_out(s, end);
	pthread_mutex_lock(&s->lock);
	s->passed_ns = now_ns(CLOCK_MONOTONIC) - s->began_ns;
	s->end = end;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the thread ---- */

int serve_control(struct uffdctl_serve *s)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&s->control, NULL, control, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	s->has_control = r == 0;
	return r;
}
