// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: one ioctl, or filling, on a run of pages, and what becomes of it. */
#include <errno.h>
#include <string.h>

#include "lib/drive/serve_hold.h"
#include "lib/drive/serve_task.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/uffd.h"

/* ---- one ioctl, or filling ---- */

static void issue(struct serve_worker *w, const struct serve_part *p, enum serve_op op, struct uffdctl_range r)
{
	struct chunk *c = &w->c;
	int err;

	c->job = &w->m->jobs[op];
	c->part = p->part;
	c->vma = p->vma;
	c->range = r;
	c->tally = (struct tally){};
	c->asleep = (struct uffdctl_range){};
	c->gone = false;
	err = c->job->op->do_chunk(c);
	if (err < 0)
		chunk_gone(c, err, r.start);
}

/* Put contents into the worker's buffer that were read, or are zeros. */
void task_give(struct serve_worker *w, uint64_t addr)
{
	w->c.contents.addr = addr;
	w->c.contents.given = true;
}

static void zero(struct serve_worker *w, const struct serve_part *p, struct uffdctl_range r)
{
	/* The kernel has no zero page for these: see uffdctl-zeropage(1). */
	if (p->vma.memory != UFFDCTL_MEMORY_HUGETLB && !(p->vma.modes & UFFDCTL_MODE_WP)) {
		issue(w, p, SERVE_ZEROPAGE, r);
		if (w->c.tally.err != -EINVAL)
			return;
	}
	memset(w->c.contents.bytes, 0, range_len(r));
	task_give(w, r.start);
	issue(w, p, SERVE_COPY, r);
}

static void add_counts(struct serve_worker *w, enum serve_op op, bool zeros)
{
	const struct tally *t = &w->c.tally;
	struct serve_counts *n = &w->counts;
	uint64_t *filled = w->prefetches ? &n->prefetch : w->prefaults ? &n->prefault : &n->demand;

	if (op == SERVE_UNPROTECT_WP || op == SERVE_UNPROTECT_RWP)
		serve_count(&n->unprotected, t->mapped);
	else if (zeros)
		serve_count(&n->zero, t->mapped);
	else if (op == SERVE_COPY)
		serve_count(filled, t->mapped);
	else
		serve_count(filled, t->filled);
	serve_count(&n->around, w->around ? t->mapped : 0);
	if (op == SERVE_CONTINUE || op == SERVE_CONTINUE_QUIETLY || op == SERVE_FILL)
		serve_count(&n->mapped, t->mapped - t->filled);
}

/* ---- what became of it ---- */

static enum outcome outcome(const struct serve_worker *w)
{
	const struct tally *t = &w->c.tally;

	switch (t->err) {
	case 0:
		return t->elsewhere ? HOLD : RESOLVED;
	case -EAGAIN:
		return AGAIN;
	case -ENOENT:
	case -ESRCH:
		return NOT_OURS;
	default:
		return HOLD;
	}
}

/* Wake those whom the ioctl has not: the page is gone again, or was mapped by others. */
static void wake_rest(struct serve_worker *w, struct uffdctl_range r)
{
	if (w->c.tally.absent)
		uffd_wake(w->m->h.uffd, r);
}

static void lose(struct serve_worker *w, struct uffdctl_range r)
{
	uffd_wake(w->m->h.uffd, r);
	if (w->c.tally.err == -ESRCH)
		serve_poke(w->m->s);
}

/* The gate is held. Without events, the kernel has met a page table that changes: it may go at once. */
static enum outcome attempt(struct serve_worker *w, const struct serve_part *p, enum serve_op op, bool zeros,
			    struct uffdctl_range r)
{
	enum outcome o;

	do {
		if (zeros)
			zero(w, p, r);
		else
			issue(w, p, op, r);
		add_counts(w, op, zeros);
		o = outcome(w);
	} while (o == AGAIN && !w->m->has_events && !serve_stopping(w->m->s));
	if (o == RESOLVED)
		wake_rest(w, r);
	return o;
}

/* ---- a task ---- */

/*
 * A range that is not done as a whole is done page by page, so that an outcome is that of one page.
 * @ret: out, the outcome of the first page that is not resolved; the range is cut to begin there
 */
enum outcome task_do(struct serve_worker *w, struct task *t)
{
	uint64_t page = t->p->vma.page_size;
	enum outcome o = attempt(w, t->p, t->op, t->zeros, t->range);

	if (o == RESOLVED || range_len(t->range) == page)
		return o;
	for (; t->range.start < t->range.end; t->range.start += page) {
		o = attempt(w, t->p, t->op, t->zeros, (struct uffdctl_range){ t->range.start, t->range.start + page });
		if (o != RESOLVED)
			return o;
	}
	return RESOLVED;
}

/* Deal with the first page of what is left of a task. False: with all of it. */
bool task_settle(struct serve_worker *w, const struct task *t, enum outcome o)
{
	uint64_t page = t->p->vma.page_size;
	struct uffdctl_range first = { t->range.start, t->range.start + page };
	const struct tally *tally = &w->c.tally;

	switch (o) {
	case RESOLVED:
		return false;
	case AGAIN:
		/* The prefaulter comes by once more; nobody waits for a neighbour. */
		if (w->prefaults || w->around)
			uffd_wake(w->m->h.uffd, t->range);
		else
			hold_put_off(w->m, t->kind, t->range, page);
		return false;
	case NOT_OURS:
		lose(w, first);
		return true;
	case HOLD:
		hold_page(w, t->kind, first, tally->err ?: -EBUSY, hold_why(t->kind, tally->err, tally->elsewhere));
		return true;
	}
	return false;
}

/* The gate is held. */
void task_run(struct serve_worker *w, struct task t)
{
	uint64_t end = t.range.end;

	while (t.range.start < end && !serve_stopping(w->m->s)) {
		enum outcome o = task_do(w, &t);

		if (!task_settle(w, &t, o))
			return;
		t.range.start += t.p->vma.page_size;
	}
}

/* ---- neighbours ---- */

/* At a page that is not there, or that another thread maps just now, the rest is not worth the trouble. */
static bool map_run(struct serve_worker *w, const struct task *t, struct uffdctl_range run)
{
	struct task part = *t;

	part.range = run;
	return task_do(w, &part) == RESOLVED && w->c.tally.mapped == range_len(run);
}

void task_run_unmapped(struct serve_worker *w, const struct task *t)
{
	uint64_t page = t->p->vma.page_size, at = t->range.start;
	uint8_t states[CONTENTS_BYTES / 4096];
	struct uffdctl_range run = { at, at };
	int pagemap = w->m->jobs[t->op].pagemap;

	if (pagemap < 0 || pagemap_read(pagemap, &t->p->vma, t->range, states) < 0)
		return;
	for (uint64_t i = 0; at < t->range.end; at += page, i++) {
		if (!(states[i] & PTE_MAPPED)) {
			run.end = at + page;
			continue;
		}
		if (run.start < run.end && !map_run(w, t, run))
			return;
		run.start = run.end = at + page;
	}
	if (run.start < run.end)
		map_run(w, t, run);
}
