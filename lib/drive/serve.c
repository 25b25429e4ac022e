// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: a handler, from its start to its end. See serving.h. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "lib/drive/action.h"
#include "lib/drive/fill.h"
#include "lib/drive/lock.h"
#include "lib/drive/serve_adopt.h"
#include "lib/drive/serve_control.h"
#include "lib/drive/serve_image.h"
#include "lib/drive/serve_memory.h"
#include "lib/drive/serve_plan.h"
#include "lib/drive/serve_prefault.h"
#include "lib/drive/serve_prefetch.h"
#include "lib/drive/serve_purpose.h"
#include "lib/drive/serve_reader.h"
#include "lib/drive/serve_register.h"
#include "lib/drive/serve_set.h"
#include "lib/drive/serve_stale.h"
#include "lib/drive/serve_state.h"
#include "lib/drive/serve_store.h"
#include "lib/drive/serve_verify.h"
#include "lib/drive/serve_work.h"
#include "lib/kernel/limits.h"
#include "lib/kernel/memlock.h"
#include "lib/log.h"
#include "lib/opts.h"

/* ---- opening ---- */

OPTS_CHECK(uffdctl_serve_opts, stale_context);

#define MAX_AROUND 4096

static int check_opts(struct uffdctl_serve *s)
{
	const struct uffdctl_serve_opts *o = &s->opts;
	uint64_t flags = UFFDCTL_SERVE_DRY_RUN | UFFDCTL_SERVE_FORCE | UFFDCTL_SERVE_PREFAULT |
			 UFFDCTL_SERVE_UNTIL_COMPLETE | UFFDCTL_SERVE_LOCK_MEMORY | UFFDCTL_SERVE_RECORD_SET |
			 UFFDCTL_SERVE_VERIFY | UFFDCTL_SERVE_ADOPT | UFFDCTL_SERVE_BY_ADDRESS;

	if (o->flags & ~flags || o->elsewhere > UFFDCTL_ELSEWHERE_KEEP || o->on_error > UFFDCTL_ON_ERROR_RELEASE ||
	    o->around & (o->around - 1) || o->around > MAX_AROUND)
		return fail(s->h->t->u, -EINVAL, "%d: uffdctl_serve_open: unknown flags, elsewhere, on_error or around",
			    s->h->t->pid);
	if (!s->fills &&
	    (o->flags & (UFFDCTL_SERVE_PREFAULT | UFFDCTL_SERVE_UNTIL_COMPLETE)) == UFFDCTL_SERVE_UNTIL_COMPLETE)
		return fail(s->h->t->u, -EINVAL,
			    "%d: what is kept is complete only when it was prefaulted: until-complete needs prefault",
			    s->h->t->pid);
	if ((stale_is_given(s) && (!images_main(s) || o->nr_maps)) || (!s->fills && o->flags & UFFDCTL_SERVE_VERIFY))
		return fail(s->h->t->u, -EINVAL,
			    "%d: uffdctl_serve_open: stale pages need one image, and verifying contents", s->h->t->pid);
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
	/* That there are contents: each part has its own, and they are read before the job has them. */
	s->fill.contents = s->fills ? UFFDCTL_CONTENTS_ZERO : UFFDCTL_CONTENTS_NONE;
	/* The bitmap says which pages are older than the contents. */
	s->fill.elsewhere = stale_is_given(s) ? UFFDCTL_ELSEWHERE_OVERWRITE : o->elsewhere;
	s->fill.progress = stop_spooling;
	s->fill.data = s;
}

static int lock_messages(struct uffdctl_serve *s)
{
	int r = s->opts.flags & UFFDCTL_SERVE_DRY_RUN ? 0 : lock_take_messages(s->h);

	s->reading = r >= 0 && !(s->opts.flags & UFFDCTL_SERVE_DRY_RUN);
	return r;
}

/* With contents nobody else may change the memory; without, others may also mark pages, or continue them. */
static int lock_memory(struct uffdctl_serve *s)
{
	int r;

	if (s->opts.flags & UFFDCTL_SERVE_DRY_RUN || !s->fills)
		return 0;
	r = lock_take(s->h);
	s->locked = r >= 0;
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
	int r = images_new(s, ranges);

	if (r >= 0)
		r = check_opts(s);
	if (r < 0)
		return r;
	set_actions(s);
	r = open_events(s);
	if (r >= 0)
		r = lock_messages(s);
	/* Nobody knows of one that was made just now. */
	if (r >= 0 && !(s->opts.flags & UFFDCTL_SERVE_FORCE) && !s->h->is_new)
		r = serve_check_reader(s->h);
	if (r >= 0 && s->opts.register_modes) {
		r = serve_register(s, &s->ranges);
		/* What is not registered can't be looked at any further. */
		if (r < 0 || s->opts.flags & UFFDCTL_SERVE_DRY_RUN)
			return r;
	}
	if (r >= 0)
		r = lock_memory(s);
	if (r >= 0)
		r = adopt_look(s);
	if (r >= 0)
		r = serve_plan(s);
	if (r >= 0)
		r = set_open(s);
	if (r >= 0)
		r = state_open(s);
	if (r >= 0)
		r = serve_plan_scan(s);
	if (r >= 0)
		r = stale_apply(s);
	if (r >= 0)
		r = verify_open(s);
	return r < 0 ? r : purpose_open(s);
}

UFFDCTL_EXPORT int uffdctl_serve_open(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				      const struct uffdctl_serve_opts *opts, struct uffdctl_serve **ret)
{
	struct uffdctl_serve *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return log_oom(h->t->u);
	s->h = h;
	s->pagemap = s->state_fd = s->stop_fd = s->poke_fd = -1;
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

/* ---- the beginning ---- */

/* The one that fills must not keep others waiting, so there are two at least. Those that wait for a server need no CPU. */
#define MIN_WORKERS 2
#define MIN_SERVER_WORKERS 8

static unsigned int nr_workers(const struct uffdctl_serve *s)
{
	int least = s->asks_server ? MIN_SERVER_WORKERS : MIN_WORKERS;
	cpu_set_t cpus;

	if (s->opts.nr_threads)
		return s->opts.nr_threads;
	return MAX(sched_getaffinity(0, sizeof(cpus), &cpus) < 0 ? 1 : CPU_COUNT(&cpus), least);
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

UFFDCTL_EXPORT int uffdctl_serve_start(struct uffdctl_serve *s)
{
	struct uffdctl *u = s->h->t->u;
	struct serve_memory *m = s->memories;
	int r;

	if (s->has_control || s->opts.flags & UFFDCTL_SERVE_DRY_RUN)
		return fail(u, -EINVAL, "%d: uffdctl_serve_start: it runs already, or is a dry run", s->h->t->pid);
	r = purpose_start(s);
	if (r < 0)
		return r;
	s->began_ns = now_ns(CLOCK_MONOTONIC);
	set_start(s);
	r = workers_start(m, nr_workers(s));
	if (r >= 0)
		r = prefetch_start(s);
	if (r >= 0)
		r = start_prefault(s);
	if (r >= 0)
		r = serve_control(s);
	if (r < 0) {
		/* As long as those that were started run: the limit is reached. */
		limits_fail_thread(u, r, "starting threads", true);
		serve_end_workers(s);
		return r;
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
	ret->prefetch_bytes = n->prefetch;
	ret->late = n->late;
	ret->zero_bytes = n->zero;
	ret->mapped_bytes = n->mapped;
	ret->unprotected_bytes = n->unprotected;
	ret->around_bytes = n->around;
	ret->errors = n->errors;
}

OPTS_CHECK(uffdctl_serve_stats, around_bytes);

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
			serve_add_counts(&sum, &m->workers[i].counts);
	}
	pthread_mutex_unlock(&s->lock);
	if (s->prefaulter)
		serve_add_counts(&sum, &s->prefaulter->counts);
	for (unsigned int i = 0; s->set && i < s->set->nr_workers; i++)
		serve_add_counts(&sum, &s->set->workers[i].counts);
	st.recording = set_recorded(s, &st.touched_bytes);
	put_counts(&sum, &st);
	st.held = __atomic_load_n(&s->held, __ATOMIC_RELAXED);
	st.total_bytes = s->total_bytes;
	st.done_bytes = s->fills ? __atomic_load_n(&s->done_bytes, __ATOMIC_RELAXED) + s->already_bytes
				 : UFFDCTL_UNKNOWN;
	st.nr_ranges = s->plan.segs.nr;
	st.put_back = s->put_back;
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
	} else if (serve_unregister(s) < 0) {
		log_error(s->h->t->u,
			  "%d: the ranges that were registered can't be unregistered: type uffdctl unregister %d all",
			  s->h->t->pid, s->h->t->pid);
	}
	free(s->own);
	free_memories(s);
	free(s->prefaulter);
	set_close(s);
	verify_close(s);
	purpose_close(s);
	stores_free(s, NULL);
	free(s->dirty);
	images_free(s);
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
