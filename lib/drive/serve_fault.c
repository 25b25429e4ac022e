// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: resolves faults. */
#include <errno.h>

#include "lib/drive/serve_fault.h"
#include "lib/drive/serve_fill.h"
#include "lib/drive/serve_grown.h"
#include "lib/drive/serve_hold.h"
#include "lib/drive/serve_purpose.h"
#include "lib/drive/serve_set.h"
#include "lib/drive/serve_store.h"
#include "lib/kernel/uffd.h"

/* ---- a range ---- */

/* Pages that are not to be filled: they are mapped as they are, or are zeros. */
static void choose_plain(const struct serve_worker *w, struct task *t, bool minor)
{
	t->op = !minor ? SERVE_COPY : w->wakes_later ? SERVE_CONTINUE_QUIETLY : SERVE_CONTINUE;
	t->zeros = !minor;
}

/*
 * The next pages from range.start on that are alike. The gate is held, and left if they are to be filled.
 * Returns where they end.
 */
static uint64_t serve_next(struct serve_worker *w, struct task t)
{
	bool minor = t.kind == UFFDCTL_KIND_MINOR, claims;
	struct claim c;
	enum serve_state state;

	if (!t.p->store) {
		choose_plain(w, &t, minor);
		if (w->around)
			task_run_unmapped(w, &t);
		else
			task_run(w, t);
		serve_leave(w->m);
		return t.range.end;
	}
	state = part_run(t.p, &t.range);
	claims = state == SERVE_NEW || (!w->around && (state == SERVE_HELD || (state == SERVE_REMOVED && minor)));
	/* Whoever fills it wakes all who wait for it. */
	if (claims) {
		t.op = minor ? SERVE_FILL : SERVE_COPY;
		t.zeros = !minor && t.p->image->contents.zero;
		part_claim(t.p, &t.range, state);
		c = (struct claim){ t, state, vma_offset(&t.p->vma, t.range.start),
				    t.p->part->from + (t.range.start - t.p->part->seg.range.start) };
	} else if (state != SERVE_BUSY && !w->around) {
		choose_plain(w, &t, minor);
		task_run(w, t);
	}
	serve_leave(w->m);
	if (claims && t.range.start < t.range.end)
		fill_pages(w, &c);
	return t.range.end;
}

static void unprotect(struct serve_worker *w, struct task t)
{
	t.op = t.kind == UFFDCTL_KIND_WP ? SERVE_UNPROTECT_WP : SERVE_UNPROTECT_RWP;
	task_run(w, t);
	serve_leave(w->m);
}

void serve_range(struct serve_worker *w, enum uffdctl_kind kind, struct uffdctl_range range)
{
	while (range.start < range.end && !serve_stopping(w->m->s)) {
		struct task t = { .kind = kind };

		serve_enter(w->m);
		t.p = memory_part(w->m, range.start);
		if (!t.p) {
			serve_leave(w->m);
			if (!w->around && !grown_serve(w, kind, range.start))
				hold_outside(w, range.start);
			range.start += base_page_size();
			continue;
		}
		t.range = range_common(range, t.p->part->seg.range);
		if (kind == UFFDCTL_KIND_WP || kind == UFFDCTL_KIND_RWP) {
			range.start = t.range.end;
			unprotect(w, t);
		} else {
			range.start = serve_next(w, t);
		}
	}
}

/* ---- around them ---- */

/* The one around an address, as far as it lies in one part; empty: there is none. @page: out, the size of its pages */
static struct uffdctl_range window_at(struct serve_memory *m, uint64_t addr, uint64_t *page)
{
	struct uffdctl_range r = {};
	const struct serve_part *p;
	uint64_t bytes;

	serve_enter(m);
	p = memory_part(m, addr);
	if (p) {
		*page = p->vma.page_size;
		bytes = m->s->opts.around * *page;
		r.start = round_down(addr, bytes);
		r = range_common((struct uffdctl_range){ r.start, r.start + bytes }, p->part->seg.range);
	}
	serve_leave(m);
	return r;
}

static void bring_in(struct serve_worker *w, enum uffdctl_kind kind, struct uffdctl_range r, uint64_t page)
{
	uint64_t step = MAX(SERVE_RUN_BYTES, page);

	while (r.start < r.end && !serve_stopping(w->m->s)) {
		uint64_t end = MIN(r.start + step, r.end);

		serve_range(w, kind, (struct uffdctl_range){ r.start, end });
		r.start = end;
	}
}

/*
 * Bring in the neighbours of w->faults, which are in order and are resolved: the aligned windows of opts.around pages
 * around them. What fails is left as it was.
 */
static void serve_around(struct serve_worker *w)
{
	struct uffdctl_range r, last = {};
	uint64_t page = 0;

	w->around = true;
	for (size_t i = 0; i < w->nr_faults; i++) {
		const struct serve_fault *f = &w->faults[i];

		if ((f->kind != UFFDCTL_KIND_MINOR && f->kind != UFFDCTL_KIND_MISSING) ||
		    (f->addr >= last.start && f->addr < last.end))
			continue;
		r = window_at(w->m, f->addr, &page);
		bring_in(w, f->kind, r, page);
		last = r;
	}
	w->around = false;
}

/* ---- faults ---- */

static int by_place(const void *a, const void *b)
{
	const struct serve_fault *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* That of the mapping; a huge page's address is that of its beginning. */
static uint64_t page_size_at(struct serve_memory *m, uint64_t addr)
{
	const struct serve_part *p;
	uint64_t size;

	serve_enter(m);
	p = memory_part(m, addr);
	size = p ? p->vma.page_size : base_page_size();
	serve_leave(m);
	return size;
}

/* The faults from f on that are on pages that follow each other: *ret gets these, for one ioctl. */
static struct serve_fault *next_run(struct serve_memory *m, struct serve_fault *f, const struct serve_fault *end,
				    struct uffdctl_range *ret)
{
	uint64_t page = page_size_at(m, f->addr), max = MAX(page, SERVE_RUN_BYTES);
	enum uffdctl_kind kind = f->kind;

	ret->start = ret->end = round_down(f->addr, page);
	for (; f < end && f->kind == kind && f->addr < ret->end + page && ret->end + page - ret->start <= max; f++)
		if (f->addr >= ret->end)
			ret->end += page;
	return f;
}

/*
 * With --keep, several faults, and their neighbours, are resolved before their threads are woken, all at once: one that
 * is woken in between would take our CPU, or fault again. A thread in between whose fault is newer is woken, too, and faults again.
 */
void serve_faults(struct serve_worker *w)
{
	struct serve_fault *f = w->faults, *end = f + w->nr_faults;
	struct uffdctl_range r, woken = { UINT64_MAX, 0 };

	if (w->m->s->set)
		set_touch(w);
	if (w->nr_faults > 1)
		qsort(f, w->nr_faults, sizeof(*f), by_place);
	w->wakes_later = (w->nr_faults > 1 || w->m->s->opts.around) && !w->m->s->fills;
	while (f < end) {
		enum uffdctl_kind kind = f->kind;

		f = next_run(w->m, f, end, &r);
		if (purpose_delays(w->m->s))
			purpose_delay(w->m->s);
		serve_range(w, kind, r);
		woken.start = MIN(woken.start, r.start);
		woken.end = MAX(woken.end, r.end);
	}
	if (w->m->s->opts.around)
		serve_around(w);
	if (w->wakes_later)
		uffd_wake(w->m->h.uffd, woken);
	w->wakes_later = false;
	w->nr_faults = 0;
}
