// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: what those have in common who bring in what nobody waits for. */
#include <poll.h>
#include <time.h>

#include "lib/drive/serve_background.h"
#include "lib/drive/serve_fault.h"
#include "lib/drive/serve_store.h"

/* How long a step waits for workers to be idle: threads that fault all the time must not keep it from going on. */
#define YIELD_NS UINT64_C(10000000)
#define LOOK_NS (100 * 1000L)

/* ---- room for others ---- */

static bool any_is_busy(const struct serve_memory *m)
{
	for (size_t i = 0; i < memory_nr_workers(m); i++)
		if (__atomic_load_n(&m->workers[i].busy, __ATOMIC_RELAXED))
			return true;
	return false;
}

void background_yield(struct serve_memory *m)
{
	uint64_t until = now_ns(CLOCK_MONOTONIC) + YIELD_NS;

	while (any_is_busy(m) && !serve_stopping(m->s) && now_ns(CLOCK_MONOTONIC) < until)
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
}

void background_sleep(const struct uffdctl_serve *s, int ms)
{
	struct pollfd stop = { .fd = s->stop_fd, .events = POLLIN };

	poll(&stop, 1, ms);
}

void background_keep_rate(struct uffdctl_serve *s, uint64_t bytes)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC), takes, from, was, due;

	if (!s->opts.rate)
		return;
	takes = (uint64_t)((double)bytes / (double)s->opts.rate * 1e9);
	from = now - MIN(now, takes);
	was = __atomic_load_n(&s->rate_due_ns, __ATOMIC_RELAXED);
	do
		due = MAX(was, from) + takes;
	while (!__atomic_compare_exchange_n(&s->rate_due_ns, &was, due, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (due > now)
		background_sleep(s, (int)MIN((due - now) / 1000000 + 1, UINT64_C(3600000)));
}

/* ---- pages ---- */

enum uffdctl_kind background_kind(const struct serve_part *p)
{
	if (p->vma.modes & UFFDCTL_MODE_MINOR)
		return UFFDCTL_KIND_MINOR;
	return p->vma.modes & UFFDCTL_MODE_MISSING ? UFFDCTL_KIND_MISSING : UFFDCTL_KIND_UNKNOWN;
}

/* The next pages that are alike. The kind of faults with which they are brought in; UFFDCTL_KIND_UNKNOWN: they are not. */
static enum uffdctl_kind find_pages(struct serve_memory *m, struct uffdctl_range *r, bool tries_held)
{
	const struct serve_part *p;
	enum uffdctl_kind kind = UFFDCTL_KIND_UNKNOWN;
	enum serve_state state;

	serve_enter(m);
	p = memory_part(m, r->start);
	if (p) {
		r->end = MIN(r->end, p->part->seg.range.end);
		state = part_run(p, r);
		kind = state == SERVE_NEW || (state == SERVE_HELD && tries_held) ? background_kind(p) : kind;
	}
	serve_leave(m);
	return kind;
}

/* Nobody has brought it in, nor does now. */
static bool is_left(struct serve_memory *m, uint64_t addr)
{
	const struct serve_part *p;
	bool left;

	serve_enter(m);
	p = memory_part(m, addr);
	left = p && (part_get(p, addr) == SERVE_HELD || part_get(p, addr) == SERVE_NEW);
	serve_leave(m);
	return left;
}

bool background_range(struct serve_worker *w, struct uffdctl_range range, bool tries_held)
{
	struct serve_memory *m = w->m;
	bool done = true;

	while (range.start < range.end && !serve_stopping(m->s)) {
		struct uffdctl_range r = range;
		enum uffdctl_kind kind = find_pages(m, &r, tries_held);

		range.start = r.end;
		if (kind == UFFDCTL_KIND_UNKNOWN)
			continue;
		/* A server is asked by several at a time, who are urgent first. */
		if (!m->s->asks_server)
			background_yield(m);
		serve_range(w, kind, r);
		done &= !is_left(m, r.start) && !is_left(m, r.end - 1);
	}
	return done;
}
