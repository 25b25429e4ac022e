// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: resolves faults. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "lib/drive/serve_fault.h"
#include "lib/drive/serve_store.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/uffd.h"

/* How often to read contents again that can't be read, and after which time. */
#define READ_TRIES 3
#define READ_PAUSE_NS (100 * 1000L * 1000)

/* The most pages whose waiters are remembered one by one: the rest is woken when we end. */
#define MAX_HELD 65536

void serve_enter(struct serve_memory *m)
{
	if (m->has_events)
		pthread_rwlock_rdlock(&m->gate);
}

void serve_leave(struct serve_memory *m)
{
	if (m->has_events)
		pthread_rwlock_unlock(&m->gate);
}

static void pause_ns(long ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

/* ---- what can't be resolved ---- */

/* False: it is known already, or there is no room. */
static bool remember(struct serve_memory *m, struct serve_fault f)
{
	struct serve_fault *place = NULL;
	bool known = false;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->nr_held && !known; i++)
		known = m->held[i].addr == f.addr;
	if (!known && m->nr_held < MAX_HELD)
		place = vec_add(m->held, m->nr_held, m->held_alloc);
	if (place) {
		*place = f;
		serve_count(&m->s->held, 1);
	}
	pthread_mutex_unlock(&m->lock);
	return place;
}

static const char *why(enum uffdctl_kind kind, int err, bool elsewhere)
{
	if (elsewhere)
		return "the page is mapped elsewhere too, or swapped out, and so may be newer than the contents (--elsewhere=overwrite or keep decides)";
	if (err == -ENODATA)
		return "the contents end before this page";
	if (err == -ENOMEM)
		return "no memory, or no free huge page, for it";
	if (err == -EINVAL && kind == UFFDCTL_KIND_MISSING)
		return "this kernel refuses to put a page there (EINVAL)";
	return strerror(-err);
}

static void end_as_asked(struct uffdctl_serve *s, int err)
{
	if (s->opts.on_error == UFFDCTL_ON_ERROR_HOLD)
		return;
	__atomic_store_n(&s->failed, err, __ATOMIC_RELEASE);
	serve_poke(s);
}

/* Nobody need wait for it. Who does faults again, and is then told of by name. */
static void leave(struct serve_worker *w, struct uffdctl_range r, int err, const char *text)
{
	struct uffdctl_serve *s = w->m->s;

	uffd_wake(w->m->h.uffd, r);
	if (!w->told)
		serve_note(s, UFFDCTL_LOG_ERROR, err, r,
			   "%d: %" PRIx64
			   ": can't be brought in: %s: this and others like it, of which no more is said, are tried again",
			   s->h->t->pid, r.start, text);
	w->told = true;
	end_as_asked(s, err);
}

static void hold(struct serve_worker *w, enum uffdctl_kind kind, struct uffdctl_range page, int err, const char *text)
{
	struct uffdctl_serve *s = w->m->s;

	serve_count(&w->counts.errors, 1);
	if (w->prefaults) {
		leave(w, page, err, text);
		return;
	}
	if (!remember(w->m, (struct serve_fault){ page.start, kind }))
		return;
	serve_note(s, UFFDCTL_LOG_ERROR, err, page, "%d: %" PRIx64 ": %s: threads that need this page wait",
		   s->h->t->pid, page.start, text);
	end_as_asked(s, err);
}

static void put_off(struct serve_memory *m, enum uffdctl_kind kind, struct uffdctl_range r, uint64_t page)
{
	pthread_mutex_lock(&m->lock);
	for (; r.start < r.end; r.start += page) {
		struct serve_fault *place = vec_add(m->deferred, m->nr_deferred, m->deferred_alloc);

		/* Without memory: its thread faults again. */
		if (!place)
			uffd_wake(m->h.uffd, (struct uffdctl_range){ r.start, r.start + page });
		else
			*place = (struct serve_fault){ r.start, kind };
	}
	pthread_mutex_unlock(&m->lock);
}

/* Only one can read the messages, so nobody else would ever hear of it; woken, the thread would fault for ever. */
static void hold_outside(struct serve_worker *w, uint64_t addr)
{
	struct uffdctl_serve *s = w->m->s;
	struct uffdctl_range page = { addr, addr + base_page_size() };

	serve_count(&w->counts.errors, 1);
	if (remember(w->m, (struct serve_fault){ addr, UFFDCTL_KIND_UNKNOWN }))
		serve_note(s, UFFDCTL_LOG_ERROR, -ENOENT, page,
			   "%d: a thread waits at %" PRIx64
			   ", which is not in the ranges that are served: it is left waiting",
			   s->h->t->pid, addr);
}

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
static void give(struct chunk *c, uint64_t addr)
{
	c->contents.addr = addr;
	c->contents.given = true;
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
	give(&w->c, r.start);
	issue(w, p, SERVE_COPY, r);
}

static void add_counts(struct serve_worker *w, enum serve_op op, bool zeros)
{
	const struct tally *t = &w->c.tally;
	struct serve_counts *n = &w->counts;

	if (op == SERVE_UNPROTECT_WP || op == SERVE_UNPROTECT_RWP)
		serve_count(&n->unprotected, t->mapped);
	else if (zeros)
		serve_count(&n->zero, t->mapped);
	else if (op == SERVE_COPY)
		serve_count(w->prefaults ? &n->prefault : &n->demand, t->mapped);
	else
		serve_count(w->prefaults ? &n->prefault : &n->demand, t->filled);
	if (op == SERVE_CONTINUE || op == SERVE_CONTINUE_QUIETLY || op == SERVE_FILL)
		serve_count(&n->mapped, t->mapped - t->filled);
}

/* ---- what became of it ---- */

enum outcome {
	RESOLVED,
	AGAIN,	  /* an event is unread, or the mapping changes */
	NOT_OURS, /* nothing is registered there any more */
	HOLD,
};

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

/* ---- pages without a state, or with one that does not change ---- */

/* The work on one part of a range: it is one mapping, and all its pages are to be treated alike. */
struct task {
	struct serve_part *p;
	enum uffdctl_kind kind;
	enum serve_op op;
	bool zeros;
	struct uffdctl_range range;
};

/*
 * A range that is not done as a whole is done page by page, so that an outcome is that of one page.
 * @ret: out, the outcome of the first page that is not resolved; the range is cut to begin there
 */
static enum outcome do_task(struct serve_worker *w, struct task *t)
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
static bool settle(struct serve_worker *w, const struct task *t, enum outcome o)
{
	uint64_t page = t->p->vma.page_size;
	struct uffdctl_range first = { t->range.start, t->range.start + page };
	const struct tally *tally = &w->c.tally;

	switch (o) {
	case RESOLVED:
		return false;
	case AGAIN:
		/* The prefaulter comes by once more. */
		if (w->prefaults)
			uffd_wake(w->m->h.uffd, t->range);
		else
			put_off(w->m, t->kind, t->range, page);
		return false;
	case NOT_OURS:
		lose(w, first);
		return true;
	case HOLD:
		hold(w, t->kind, first, tally->err ?: -EBUSY, why(t->kind, tally->err, tally->elsewhere));
		return true;
	}
	return false;
}

/* The gate is held. */
static void run_task(struct serve_worker *w, struct task t)
{
	uint64_t end = t.range.end;

	while (t.range.start < end && !serve_stopping(w->m->s)) {
		enum outcome o = do_task(w, &t);

		if (!settle(w, &t, o))
			return;
		t.range.start += t.p->vma.page_size;
	}
}

/* ---- pages that are filled ---- */

/* Pages that this worker has claimed. */
struct claim {
	struct task task;
	enum serve_state was;
	uint64_t offset; /* of the first one, in the store */
	uint64_t from;	 /* of its contents, in the image */
};

static void release(const struct claim *c, struct uffdctl_range r, enum serve_state to)
{
	store_release(c->task.p->store, c->offset + (r.start - c->task.range.start), range_len(r), to);
}

/* @done: out, bytes in whole pages, also after an error */
static int read_contents(struct serve_worker *w, const struct claim *c, uint64_t *done)
{
	struct uffdctl_serve *s = w->m->s;
	uint64_t len = range_len(c->task.range);
	int r = 0;

	for (int i = 0; i < READ_TRIES && !serve_stopping(s); i++) {
		r = s->source->read(s, c->from, w->c.contents.bytes, len, done);
		*done = round_down(*done, c->task.p->vma.page_size);
		if (r >= 0 || *done)
			return r;
		pause_ns(READ_PAUSE_NS);
	}
	return r;
}

static bool has_moved(const struct serve_memory *m, const struct claim *c)
{
	const struct serve_part *p = memory_part(m, c->task.range.start);

	return p != c->task.p || vma_offset(&p->vma, c->task.range.start) != c->offset ||
	       c->task.range.end > p->part->seg.range.end;
}

static void note_done(struct serve_worker *w, const struct claim *c, uint64_t bytes)
{
	struct uffdctl_serve *s = w->m->s;

	if (!bytes || c->was == SERVE_REMOVED || w->m->is_child)
		return;
	if (__atomic_add_fetch(&s->done_bytes, bytes, __ATOMIC_RELEASE) + s->already_bytes >= s->total_bytes)
		serve_poke(s);
}

/*
 * A page was there that the process does not have mapped, although none was there when its thread faulted: somebody has
 * made it in the page cache. The next fault on it will be a minor one, which has it filled. What is mapped is done.
 */
static void release_found(struct serve_worker *w, const struct claim *c, struct uffdctl_range run)
{
	const struct serve_part *p = c->task.p;
	uint64_t page = p->vma.page_size;

	for (; run.start < run.end; run.start += page) {
		struct uffdctl_range one = { run.start, run.start + page };
		uint8_t state = 0;
		bool mapped = pagemap_read(w->c.job->pagemap, &p->vma, one, &state) < 0 || state & PTE_MAPPED;

		release(c, one, mapped ? SERVE_DONE : c->was);
		note_done(w, c, mapped ? page : 0);
	}
}

static void release_done(struct serve_worker *w, const struct claim *c, struct uffdctl_range run, bool busy)
{
	if (busy && c->task.op == SERVE_COPY && w->c.tally.already && c->task.p->vma.modes & UFFDCTL_MODE_MINOR) {
		release_found(w, c, run);
		return;
	}
	release(c, run, SERVE_DONE);
	note_done(w, c, busy ? range_len(run) : 0);
}

/* The pages of a claim whose contents are there: fill those that the process has not removed. The gate is held. */
static void fill_claimed(struct serve_worker *w, struct claim *c, uint64_t len)
{
	struct uffdctl_range left = { c->task.range.start, c->task.range.start + len };
	uint64_t page = c->task.p->vma.page_size;

	while (left.start < left.end) {
		struct uffdctl_range run = left;
		enum serve_state state = part_run(c->task.p, &run);
		struct task t = c->task;
		enum outcome o = RESOLVED;

		t.range = run;
		if (state == SERVE_BUSY)
			o = do_task(w, &t);
		run.end = o == RESOLVED ? run.end : t.range.start;
		release_done(w, c, run, state == SERVE_BUSY);
		left.start = run.end;
		if (o == RESOLVED)
			continue;
		/* Its state first: whoever is told of the page may look at it. */
		run = (struct uffdctl_range){ run.end, run.end + page };
		release(c, run, o == HOLD ? SERVE_HELD : c->was);
		t.range = run;
		settle(w, &t, o);
		left.start = run.end;
	}
}

static void end_claim(struct serve_worker *w, struct claim *c, uint64_t done, int err)
{
	uint64_t page = c->task.p->vma.page_size;
	struct uffdctl_range rest = { c->task.range.start + done, c->task.range.end };
	struct uffdctl_range first = { rest.start, rest.start + page };

	if (rest.start == rest.end)
		return;
	/* In the background the next place comes first. */
	if (w->prefaults && !done) {
		release(c, rest, SERVE_HELD);
		hold(w, c->task.kind, rest, err, why(c->task.kind, err, false));
		return;
	}
	/* The rest is another try's; where nothing could be read, its first page is held. */
	if (!done) {
		release(c, first, SERVE_HELD);
		hold(w, c->task.kind, first, err, why(c->task.kind, err, false));
		rest.start = first.end;
	}
	release(c, rest, c->was);
	if (rest.start < rest.end)
		uffd_wake(w->m->h.uffd, rest);
}

/* What was removed while we read is zeros; who waits for it has to fault again. */
static void fill(struct serve_worker *w, struct claim *c)
{
	uint64_t done = 0;
	int err = read_contents(w, c, &done);

	serve_enter(w->m);
	if (has_moved(w->m, c)) {
		release(c, c->task.range, c->was);
		uffd_wake(w->m->h.uffd, c->task.range);
	} else {
		give(&w->c, c->task.range.start);
		fill_claimed(w, c, done);
		end_claim(w, c, done, err);
	}
	serve_leave(w->m);
}

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
		run_task(w, t);
		serve_leave(w->m);
		return t.range.end;
	}
	state = part_run(t.p, &t.range);
	claims = state == SERVE_NEW || state == SERVE_HELD || (state == SERVE_REMOVED && minor);
	/* Whoever fills it wakes all who wait for it. */
	if (claims) {
		t.op = minor ? SERVE_FILL : SERVE_COPY;
		t.zeros = !minor && w->m->s->opts.source == UFFDCTL_SERVE_ZERO;
		part_claim(t.p, &t.range, state);
		c = (struct claim){ t, state, vma_offset(&t.p->vma, t.range.start),
				    t.p->part->from + (t.range.start - t.p->part->seg.range.start) };
	} else if (state != SERVE_BUSY) {
		choose_plain(w, &t, minor);
		run_task(w, t);
	}
	serve_leave(w->m);
	if (claims && t.range.start < t.range.end)
		fill(w, &c);
	return t.range.end;
}

static void unprotect(struct serve_worker *w, struct task t)
{
	t.op = t.kind == UFFDCTL_KIND_WP ? SERVE_UNPROTECT_WP : SERVE_UNPROTECT_RWP;
	run_task(w, t);
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
 * With --keep, several faults are resolved before their threads are woken, all at once: one that is woken in between
 * would take our CPU. A thread in between whose fault is newer is woken, too, and faults again.
 */
void serve_faults(struct serve_worker *w)
{
	struct serve_fault *f = w->faults, *end = f + w->nr_faults;
	struct uffdctl_range r, woken = { UINT64_MAX, 0 };

	if (w->nr_faults > 1)
		qsort(f, w->nr_faults, sizeof(*f), by_place);
	w->wakes_later = w->nr_faults > 1 && !w->m->s->source->fills;
	while (f < end) {
		enum uffdctl_kind kind = f->kind;

		f = next_run(w->m, f, end, &r);
		serve_range(w, kind, r);
		woken = (struct uffdctl_range){ MIN(woken.start, r.start), MAX(woken.end, r.end) };
	}
	if (w->wakes_later)
		uffd_wake(w->m->h.uffd, woken);
	w->wakes_later = false;
	w->nr_faults = 0;
}
