// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: fills pages, each once. */
#include <errno.h>
#include <time.h>

#include "lib/drive/serve_fill.h"
#include "lib/drive/serve_hold.h"
#include "lib/drive/serve_store.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/uffd.h"

/* How often to read contents again that can't be read, and after which time. */
#define READ_TRIES 3
#define READ_PAUSE_NS (100 * 1000L * 1000)

static void pause_ns(long ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

static void release(const struct claim *c, struct uffdctl_range r, enum serve_state to)
{
	store_release(c->task.p->store, c->offset + (r.start - c->task.range.start), range_len(r), to);
}

/* @done: out, bytes in whole pages, also after an error */
static int read_contents(struct serve_worker *w, const struct claim *c, uint64_t *done)
{
	const struct serve_image *image = c->task.p->image;
	struct uffdctl_serve *s = w->m->s;
	bool can_wait = w->prefaults || w->around;
	uint64_t len = range_len(c->task.range);
	int tries = w->around ? 1 : READ_TRIES, r = 0;

	for (int i = 0; i < tries && !serve_stopping(s); i++) {
		r = contents_read(can_wait ? &image->background : &image->contents, c->from, w->c.contents.bytes, len,
				  done);
		*done = round_down(*done, c->task.p->vma.page_size);
		if (r >= 0 || *done)
			return r;
		if (i + 1 < tries)
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

	/* What a child has of its own is not in the total. */
	if (!bytes || c->was == SERVE_REMOVED || c->task.p->store->owner)
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
			o = task_do(w, &t);
		run.end = o == RESOLVED ? run.end : t.range.start;
		release_done(w, c, run, state == SERVE_BUSY);
		left.start = run.end;
		if (o == RESOLVED)
			continue;
		/* Its state first: whoever is told of the page may look at it. */
		run = (struct uffdctl_range){ run.end, run.end + page };
		release(c, run, o == HOLD && !w->around ? SERVE_HELD : c->was);
		t.range = run;
		task_settle(w, &t, o);
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
	/* It was not tried to the end: who waits is for the next handler. */
	if (serve_stopping(w->m->s)) {
		release(c, rest, c->was);
		return;
	}
	if (w->around) {
		release(c, rest, c->was);
		uffd_wake(w->m->h.uffd, rest);
		return;
	}
	/* In the background the next place comes first. */
	if (w->prefaults && !done) {
		release(c, rest, SERVE_HELD);
		hold_page(w, c->task.kind, rest, err, hold_why(c->task.kind, err, false));
		return;
	}
	/* The rest is another try's; where nothing could be read, its first page is held. */
	if (!done) {
		release(c, first, SERVE_HELD);
		hold_page(w, c->task.kind, first, err, hold_why(c->task.kind, err, false));
		rest.start = first.end;
	}
	release(c, rest, c->was);
	if (rest.start < rest.end)
		uffd_wake(w->m->h.uffd, rest);
}

/* What was removed while we read is zeros; who waits for it has to fault again. */
void fill_pages(struct serve_worker *w, struct claim *c)
{
	uint64_t done = 0;
	int err = read_contents(w, c, &done);

	serve_enter(w->m);
	if (has_moved(w->m, c)) {
		release(c, c->task.range, c->was);
		uffd_wake(w->m->h.uffd, c->task.range);
	} else {
		task_give(w, c->task.range.start);
		fill_claimed(w, c, done);
		end_claim(w, c, done, err);
	}
	serve_leave(w->m);
}
