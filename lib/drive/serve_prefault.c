// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: brings in, in the background, what nobody has asked for. Steps are small, and what is asked for comes first. */
#include <time.h>

#include "lib/drive/serve_background.h"
#include "lib/drive/serve_control.h"
#include "lib/drive/serve_fault.h"
#include "lib/drive/serve_prefault.h"
#include "lib/drive/serve_prefetch.h"
#include "lib/drive/serve_store.h"
#include "lib/kernel/niceness.h"

/* What can't be brought in is tried again, when all else is there, and less and less often. */
#define RETRY_MS 2000
#define MAX_RETRY_MS 60000

struct pass {
	struct serve_worker *w;
	struct serve_memory *own; /* the target's */
	uint64_t left;		  /* bytes that are not there, found by this pass */
	uint64_t held;		  /* likewise, that could not be brought in before */
	bool tries_held;
	int retry_ms;
};

/* ---- a step ---- */

struct step_range {
	struct uffdctl_range range;
	enum uffdctl_kind kind;
	bool needed;
	bool held;
};

/* What comes at an address or behind it: pages that are alike. False: nothing. */
static bool find_step(struct serve_memory *m, uint64_t from, struct step_range *ret)
{
	const struct serve_part *p;
	enum serve_state state;
	size_t i;

	serve_enter(m);
	i = memory_next(m, from);
	p = i < m->nr ? m->parts[i] : NULL;
	if (p) {
		struct uffdctl_range r = p->part->seg.range;
		uint64_t len = MAX(SERVE_RUN_BYTES, p->vma.page_size);

		r.start = MAX(r.start, from);
		r.end = MIN(r.end, r.start + len);
		ret->kind = background_kind(p);
		ret->needed = ret->kind != UFFDCTL_KIND_UNKNOWN;
		ret->held = false;
		if (ret->needed && p->store) {
			state = part_run(p, &r);
			ret->needed = state == SERVE_NEW;
			ret->held = state == SERVE_HELD;
		}
		ret->range = r;
	}
	serve_leave(m);
	return p;
}

static void step(struct pass *p, const struct step_range *st)
{
	struct serve_memory *m = p->w->m;

	background_yield(m);
	if (m->is_child)
		background_yield(p->own);
	serve_range(p->w, st->kind, st->range);
	/* With --keep, what minor does not find is what missing would make zeros of: it stays absent. */
	background_keep_rate(m->s, range_len(st->range));
	p->left += range_len(st->range);
}

static void go_through(struct pass *p, struct serve_memory *m)
{
	struct step_range st = {};

	p->w->m = m;
	while (!serve_stopping(m->s) && !__atomic_load_n(&m->gone, __ATOMIC_ACQUIRE) &&
	       find_step(m, st.range.end, &st)) {
		p->held += st.held;
		if (st.needed || (st.held && p->tries_held))
			step(p, &st);
	}
	p->w->m = p->own;
}

static void run_pass(struct pass *p)
{
	struct uffdctl_serve *s = p->own->s;

	p->left = p->held = 0;
	go_through(p, p->own);
	for (struct serve_memory *m = NULL; s->fills && (m = serve_next_child(s, m));)
		go_through(p, m);
}

void *serve_prefault(void *arg)
{
	struct serve_worker *w = arg;
	struct uffdctl_serve *s = w->m->s;
	struct pass p = { .w = w, .own = w->m, .retry_ms = RETRY_MS };

	/* A thread that faults would wait for the end of our time slice, which is some milliseconds. */
	niceness_give_way();
	if (!(s->opts.flags & UFFDCTL_SERVE_BY_ADDRESS))
		prefetch_wait(s);
	/* A mapping that moves, and a page that an event has delayed, may be left out by the first one. */
	do {
		run_pass(&p);
		p.tries_held = !p.left && p.held;
		background_sleep(s, p.tries_held ? p.retry_ms : 1);
		p.retry_ms = p.tries_held ? MIN(p.retry_ms * 2, MAX_RETRY_MS) : RETRY_MS;
	} while (s->fills && (p.left || p.held) && !serve_stopping(s));
	__atomic_store_n(&s->prefault_ended, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&w->ended, true, __ATOMIC_RELEASE);
	serve_poke(s);
	return NULL;
}
