// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: a handler, from its start to its end. See serving.h. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "lib/drive/action.h"
#include "lib/drive/fill.h"
#include "lib/drive/lock.h"
#include "lib/drive/serve_fault.h"
#include "lib/drive/serve_memory.h"
#include "lib/drive/serve_plan.h"
#include "lib/drive/serve_prefault.h"
#include "lib/drive/serve_state.h"
#include "lib/drive/serve_store.h"
#include "lib/drive/serve_work.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/memlock.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"
#include "lib/opts.h"

/* execve(2) shows only by looking, and it is followed by no harm: the memory that we know is gone. */
#define LOOK_MS 1000
#define EXIT_MS 500
#define RETRY_NS UINT64_C(5000000000)

/* ---- who else reads ---- */

/*
 * Messages that were read and not resolved are a dead handler's, if nothing moves; those of one that lives, if
 * something does.
 */
static int check_delivered(struct uffdctl_handle *h)
{
	struct uffd_fdinfo before, now;
	int r = handle_fdinfo(h, &before);

	for (int i = 0; r >= 0 && i < 10; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 25 * 1000L * 1000 }, NULL);
		r = handle_fdinfo(h, &now);
		if (r >= 0 && (now.pending < before.pending || now.total < before.total))
			return fail(h->t->u, -EBUSY,
				    "%d: faults of fd %d are being resolved: another handler is at work, and a message is read only once; end it, or use --force",
				    h->pid, h->fd);
		before = now;
	}
	return r;
}

static int check_reader(struct uffdctl_handle *h)
{
	int reader = handle_reader(h);

	if (reader == READER_WAITING)
		return fail(h->t->u, -EBUSY,
			    "%d: a handler reads the messages of fd %d, and each message is read only once: suspend it with SIGSTOP (if it is the only holder, killing it unregisters everything), or use --force",
			    h->pid, h->fd);
	if (reader == READER_DELIVERED)
		return check_delivered(h);
	if (reader < 0)
		return fail(h->t->u, -EBUSY,
			    "%d: without BPF it is not known whether a handler reads the messages of fd %d: if none does, use --force%s",
			    h->pid, h->fd, iter_remedy(h->t->u));
	return 0;
}

/* ---- opening ---- */

OPTS_CHECK(uffdctl_serve_opts, spare);

static int check_opts(struct uffdctl_serve *s)
{
	const struct uffdctl_serve_opts *o = &s->opts;
	uint64_t flags = UFFDCTL_SERVE_DRY_RUN | UFFDCTL_SERVE_FORCE | UFFDCTL_SERVE_PREFAULT |
			 UFFDCTL_SERVE_UNTIL_COMPLETE | UFFDCTL_SERVE_LOCK_MEMORY;

	s->source = serve_source(o->source);
	if (o->flags & ~flags || !s->source || o->elsewhere > UFFDCTL_ELSEWHERE_KEEP ||
	    o->on_error > UFFDCTL_ON_ERROR_RELEASE || o->spare)
		return fail(s->h->t->u, -EINVAL, "%d: uffdctl_serve_open: unknown flags, source, elsewhere or on_error",
			    s->h->t->pid);
	if (!s->source->fills &&
	    (o->flags & (UFFDCTL_SERVE_PREFAULT | UFFDCTL_SERVE_UNTIL_COMPLETE)) == UFFDCTL_SERVE_UNTIL_COMPLETE)
		return fail(s->h->t->u, -EINVAL,
			    "%d: what is kept is complete only when it was prefaulted: until-complete needs prefault",
			    s->h->t->pid);
	return 0;
}

static int stop_spooling(void *data, uint64_t done_bytes, uint64_t total_bytes)
{
	struct uffdctl_serve *s = data;

	(void)done_bytes, (void)total_bytes;
	return s->opts.stop && s->opts.stop(s->opts.data);
}

static void set_actions(struct uffdctl_serve *s)
{
	const struct uffdctl_serve_opts *o = &s->opts;
	struct uffdctl_action_opts plain = { .size = sizeof(plain) };

	s->plain = s->quiet = s->fill = s->off = plain;
	s->quiet.flags = UFFDCTL_ACTION_NO_WAKE;
	s->off.flags = UFFDCTL_ACTION_OFF;
	/* Who else reads is checked by ourselves, and the image may be longer than what is served. */
	s->fill.flags = UFFDCTL_ACTION_FORCE | UFFDCTL_ACTION_BY_OFFSET |
			(o->flags & UFFDCTL_SERVE_DRY_RUN ? UFFDCTL_ACTION_DRY_RUN : 0);
	s->fill.contents = !s->source->fills		     ? UFFDCTL_CONTENTS_NONE
			   : o->source == UFFDCTL_SERVE_ZERO ? UFFDCTL_CONTENTS_ZERO
							     : UFFDCTL_CONTENTS_FD;
	s->fill.from_fd = o->from_fd;
	s->fill.from_offset = o->from_offset;
	s->fill.elsewhere = o->elsewhere;
	s->fill.progress = stop_spooling;
	s->fill.data = s;
}

/* With contents nobody else may change the memory; without, others may also mark pages, or continue them. */
static int lock(struct uffdctl_serve *s)
{
	int r;

	if (s->opts.flags & UFFDCTL_SERVE_DRY_RUN)
		return 0;
	r = lock_take_messages(s->h);
	s->reading = r >= 0;
	if (r >= 0 && s->source->fills) {
		r = lock_take(s->h);
		s->locked = r >= 0;
	}
	return r;
}

static int open_events(struct uffdctl_serve *s)
{
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	s->poke_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return s->stop_fd < 0 || s->poke_fd < 0 ? fail(s->h->t->u, -errno, "eventfd: %s", strerror(errno)) : 0;
}

static int open_all(struct uffdctl_serve *s, const struct uffdctl_ranges *ranges)
{
	int r = check_opts(s);

	if (r < 0)
		return r;
	set_actions(s);
	r = open_events(s);
	if (r >= 0)
		r = lock(s);
	if (r >= 0 && !(s->opts.flags & UFFDCTL_SERVE_FORCE))
		r = check_reader(s->h);
	if (r >= 0)
		r = serve_plan(s, ranges);
	if (r >= 0)
		r = state_open(s);
	return r < 0 ? r : serve_plan_scan(s);
}

UFFDCTL_EXPORT int uffdctl_serve_open(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				      const struct uffdctl_serve_opts *opts, struct uffdctl_serve **ret)
{
	struct uffdctl_serve *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return log_oom(h->t->u);
	s->h = h;
	s->pagemap = s->state_fd = s->stop_fd = s->poke_fd = s->contents.fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	r = OPTS_GET(h->t->u, opts, &s->opts);
	if (r >= 0)
		r = open_all(s, ranges);
	if (r < 0) {
		uffdctl_serve_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* ---- the end ---- */

UFFDCTL_EXPORT void uffdctl_serve_stop(struct uffdctl_serve *s)
{
	int saved = errno;
	uint64_t one = 1;

	__atomic_store_n(&s->stopping, 1, __ATOMIC_RELEASE);
	/* These fail only if they have been written to 2^64 times. */
	if (write(s->stop_fd, &one, sizeof(one)) < 0 || write(s->poke_fd, &one, sizeof(one)) < 0)
		errno = saved;
	errno = saved;
}

/* The list grows at its beginning only, until all have ended. */
static struct serve_memory *memories(struct uffdctl_serve *s)
{
	struct serve_memory *m;

	pthread_mutex_lock(&s->lock);
	m = s->memories;
	pthread_mutex_unlock(&s->lock);
	return m;
}

static void unregister_all(struct uffdctl_serve *s)
{
	for (struct serve_memory *m = memories(s); m; m = m->next)
		for (size_t i = 0; i < m->nr; i++) {
			struct uffdctl_range r = m->parts[i]->part->seg.range;
			int err = uffd_unregister(m->h.uffd, r);

			uffd_wake(m->h.uffd, r);
			if (err < 0 && err != -ENOMEM && err != -ESRCH && !uffd_memory_is_gone(m->h.uffd))
				serve_note(s, UFFDCTL_LOG_ERROR, err, r, "%d: unregistering: %s", s->h->t->pid,
					   strerror(-err));
		}
}

/* ---- pages that are held ---- */

/* Pages without a state are not known to be resolved: after the next try they are forgotten, and held again if it fails. */
static bool is_held(struct serve_memory *m, const struct serve_fault *f, bool tries)
{
	const struct serve_part *p = memory_part(m, f->addr);

	if (f->kind == UFFDCTL_KIND_UNKNOWN)
		return true;
	return p && p->store ? part_get(p, f->addr) == SERVE_HELD : p && !tries;
}

/* Forget what is not held any more. @tries: wake the threads: they fault again, and so the page is tried again */
static void look_at_held(struct serve_memory *m, bool tries)
{
	size_t nr = 0;

	serve_enter(m);
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->nr_held; i++) {
		struct serve_fault f = m->held[i];

		if (is_held(m, &f, tries))
			m->held[nr++] = f;
		if (tries && f.kind != UFFDCTL_KIND_UNKNOWN)
			uffd_wake(m->h.uffd, (struct uffdctl_range){ f.addr, f.addr + base_page_size() });
	}
	__atomic_fetch_sub(&m->s->held, m->nr_held - nr, __ATOMIC_RELAXED);
	m->nr_held = nr;
	pthread_mutex_unlock(&m->lock);
	serve_leave(m);
}

/* ---- ending ---- */

/*
 * Who waits for what we have read faults again, now that nobody of ours reads: another handler gets the message. Once
 * before the workers end, for one of them may wait for its contents for ever, and once after that.
 */
static void end_workers(struct uffdctl_serve *s)
{
	struct serve_memory *m;

	uffdctl_serve_stop(s);
	for (m = memories(s); m; m = m->next)
		memory_wake_all(m);
	if (s->prefaulter)
		worker_join(s->prefaulter);
	/* A worker that ends may have taken in a fork. */
	for (struct serve_memory *first = NULL; first != memories(s);) {
		first = memories(s);
		for (m = first; m; m = m->next)
			workers_join(m);
	}
	for (m = memories(s); m; m = m->next) {
		look_at_held(m, false);
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

	if (end == UFFDCTL_SERVE_COMPLETE ||
	    (end == UFFDCTL_SERVE_FAILED && s->opts.on_error == UFFDCTL_ON_ERROR_RELEASE))
		unregister_all(s);
	if (end == UFFDCTL_SERVE_FAILED && s->opts.on_error == UFFDCTL_ON_ERROR_KILL)
		err = pidfd_kill(s->h->t->pidfd, SIGKILL);
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

static void add_counts(struct serve_counts *sum, const struct serve_counts *n)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)n;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static void unlink_memory(struct uffdctl_serve *s, const struct serve_memory *m)
{
	struct serve_memory **at = &s->memories;

	pthread_mutex_lock(&s->lock);
	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	for (size_t i = 0; i < memory_nr_workers(m); i++)
		add_counts(&s->past, &m->workers[i].counts);
	pthread_mutex_unlock(&s->lock);
}

/* Children that have ended: each holds a descriptor of ours. Nobody else takes one out of the list. */
static void reap(struct uffdctl_serve *s)
{
	struct serve_memory *m = memories(s), *next;

	for (; m; m = next) {
		next = m->next;
		if (!m->is_child || !__atomic_load_n(&m->gone, __ATOMIC_ACQUIRE))
			continue;
		workers_join(m);
		unlink_memory(s, m);
		stores_free(s, m);
		memory_free(m);
	}
}

/* Those that have come by a fork. Each is one thread's: children seldom live long, and may be many. */
static void start_new(struct uffdctl_serve *s)
{
	for (struct serve_memory *m = memories(s); m->is_child; m = m->next) {
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
	for (struct serve_memory *m = memories(s); m; m = m->next)
		if (m->is_child && !__atomic_load_n(&m->gone, __ATOMIC_ACQUIRE))
			return true;
	return !target_is_gone(s->h->t);
}

static bool is_complete(struct uffdctl_serve *s)
{
	if (!(s->opts.flags & UFFDCTL_SERVE_UNTIL_COMPLETE))
		return false;
	if (!s->source->fills)
		return __atomic_load_n(&s->prefault_ended, __ATOMIC_ACQUIRE);
	return __atomic_load_n(&s->done_bytes, __ATOMIC_ACQUIRE) + s->already_bytes >= s->total_bytes;
}

static enum uffdctl_serve_end look(struct uffdctl_serve *s)
{
	if (__atomic_load_n(&s->failed, __ATOMIC_ACQUIRE))
		return UFFDCTL_SERVE_FAILED;
	if (!any_lives(s))
		return UFFDCTL_SERVE_GONE;
	if (serve_stopping(s) || (s->opts.stop && s->opts.stop(s->opts.data)))
		return UFFDCTL_SERVE_STOPPED;
	return is_complete(s) ? UFFDCTL_SERVE_COMPLETE : UFFDCTL_SERVE_RUNS;
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
		for (struct serve_memory *m = memories(s); m; m = m->next)
			look_at_held(m, tries);
		retried = tries ? now_ns(CLOCK_MONOTONIC) : retried;
	}
	end_workers(s);
	carry_out(s, end);
	pthread_mutex_lock(&s->lock);
	s->passed_ns = now_ns(CLOCK_MONOTONIC) - s->began_ns;
	s->end = end;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the beginning ---- */

/* The one that fills must not keep others waiting, so there are two at least. */
static unsigned int nr_workers(const struct uffdctl_serve *s)
{
	cpu_set_t cpus;

	if (s->opts.nr_threads)
		return s->opts.nr_threads;
	return MAX(sched_getaffinity(0, sizeof(cpus), &cpus) < 0 ? 1 : CPU_COUNT(&cpus), 2);
}

static int start_prefault(struct uffdctl_serve *s)
{
	struct serve_worker *w;

	if (!(s->opts.flags & UFFDCTL_SERVE_PREFAULT))
		return 0;
	w = aligned_alloc(_Alignof(struct serve_worker), sizeof(*w));
	if (!w)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	w->prefaults = true;
	s->prefaulter = w;
	return worker_start(w, s->memories, serve_prefault);
}

static int start_control(struct uffdctl_serve *s)
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

UFFDCTL_EXPORT int uffdctl_serve_start(struct uffdctl_serve *s)
{
	struct uffdctl *u = s->h->t->u;
	struct serve_memory *m = s->memories;
	int r;

	if (s->has_control || s->opts.flags & UFFDCTL_SERVE_DRY_RUN)
		return fail(u, -EINVAL, "%d: uffdctl_serve_start: it runs already, or is a dry run", s->h->t->pid);
	s->began_ns = now_ns(CLOCK_MONOTONIC);
	r = workers_start(m, nr_workers(s));
	if (r >= 0)
		r = start_prefault(s);
	if (r >= 0)
		r = start_control(s);
	if (r < 0) {
		end_workers(s);
		return fail(u, r, "starting threads: %s", strerror(-r));
	}
	/* Messages that a dead handler had read come again. */
	memory_wake_all(m);
	if (s->opts.flags & UFFDCTL_SERVE_LOCK_MEMORY && (r = memlock_present()) < 0)
		log_warning(u,
			    "memory of our own can't be locked: %s: if it is swapped out, faults wait longer (see ulimit -l)",
			    strerror(-r));
	return 0;
}

/* ---- numbers ---- */

static void put_counts(const struct serve_counts *n, struct uffdctl_serve_stats *ret)
{
	for (size_t i = 0; i < UFFDCTL_MAX_MODES; i++)
		ret->faults[i] = n->faults[i];
	ret->events = n->events;
	ret->demand_bytes = n->demand;
	ret->prefault_bytes = n->prefault;
	ret->zero_bytes = n->zero;
	ret->mapped_bytes = n->mapped;
	ret->unprotected_bytes = n->unprotected;
	ret->errors = n->errors;
}

OPTS_CHECK(uffdctl_serve_stats, end);

UFFDCTL_EXPORT int uffdctl_serve_stats(struct uffdctl_serve *s, struct uffdctl_serve_stats *ret)
{
	struct uffdctl_serve_stats st = { .size = sizeof(st) };
	struct serve_counts sum;
	int r = out_check(s->h->t->u, ret);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	st.lost_notes = s->lost_notes;
	st.end = s->end;
	st.passed_ns = s->end || !s->began_ns ? s->passed_ns : now_ns(CLOCK_MONOTONIC) - s->began_ns;
	sum = s->past;
	for (struct serve_memory *m = s->memories; m; m = m->next) {
		st.memories++;
		for (size_t i = 0; i < memory_nr_workers(m); i++)
			add_counts(&sum, &m->workers[i].counts);
	}
	pthread_mutex_unlock(&s->lock);
	if (s->prefaulter)
		add_counts(&sum, &s->prefaulter->counts);
	put_counts(&sum, &st);
	st.held = __atomic_load_n(&s->held, __ATOMIC_RELAXED);
	st.total_bytes = s->total_bytes;
	st.done_bytes = s->source->fills ? __atomic_load_n(&s->done_bytes, __ATOMIC_RELAXED) + s->already_bytes
					 : UFFDCTL_UNKNOWN;
	st.nr_ranges = s->plan.segs.nr;
	OUT_PUT(&st, ret);
	return 0;
}

UFFDCTL_EXPORT const char *uffdctl_serve_end_name(enum uffdctl_serve_end end)
{
	static const char *const names[] = {
		[UFFDCTL_SERVE_STOPPED] = "stopped",
		[UFFDCTL_SERVE_COMPLETE] = "complete",
		[UFFDCTL_SERVE_GONE] = "gone",
		[UFFDCTL_SERVE_FAILED] = "failed",
	};

	return end < ARRAY_SIZE(names) ? names[end] : NULL;
}

/* ---- closing ---- */

static void free_memories(struct uffdctl_serve *s)
{
	/* They have the same one, which is freed once. */
	if (s->memories && s->filling) {
		struct serve_memory *m = s->memories;

		while (m->is_child)
			m = m->next;
		fill_finish(&m->jobs[SERVE_FILL]);
	}
	while (s->memories) {
		struct serve_memory *m = s->memories;

		s->memories = m->next;
		memory_free(m);
	}
}

UFFDCTL_EXPORT void uffdctl_serve_close(struct uffdctl_serve *s)
{
	if (!s)
		return;
	if (s->has_control) {
		uffdctl_serve_stop(s);
		pthread_join(s->control, NULL);
	}
	free_memories(s);
	free(s->prefaulter);
	stores_free(s, NULL);
	contents_close(&s->contents);
	plan_free(&s->plan);
	if (s->locked)
		lock_release(s->h);
	if (s->reading)
		lock_release_messages(s->h);
	state_close(s);
	cleanup_close(&s->pagemap);
	cleanup_close(&s->stop_fd);
	cleanup_close(&s->poke_fd);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->changed);
	free(s);
}
