// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Filling: writes the contents of unmapped pages, through a second mapping of their file.
 *
 * No byte of the target may be lost, and nobody may see a page blank or half written. Therefore the contents are in
 * our own memory before anything is done. Then, for each 256 KiB:
 *
 *  1. We map the file, and register this mapping, the window, on a userfaultfd of our own, the guard.
 *  2. UFFDIO_COPY on the window adds a whole page to the page cache, and only if there is none. UFFDIO_CONTINUE maps
 *     an existing page into the window. Nothing else does either: because of the guard, our access to a page that is
 *     gone fails (EFAULT) and does not make another one.
 *  3. From now on a thread that touches one of these pages in the range has a minor fault and waits. So what we read
 *     next from the target's page table stays true, and /proc/self/pagemap shows whether the window's entry for a
 *     page is the only one in any process (PM_MMAP_EXCLUSIVE).
 *  4. Pages that existed before are written through the window, unless somebody else has them mapped.
 *  5. UFFDIO_CONTINUE on the range.
 */
#include <errno.h>

#include "lib/drive/fill.h"
#include "lib/drive/fill_choose.h"
#include "lib/drive/fill_window.h"
#include "lib/drive/pages.h"
#include "lib/kernel/pagemap.h"

bool fill_wanted(const struct job *job)
{
	return job->opts->contents != UFFDCTL_CONTENTS_NONE;
}

/* ---- contents into pages of the file ---- */

/* A page that somebody has mapped in the range meanwhile is left alone. */
static void drop_mapped(struct step *s)
{
	for (uint64_t i = 0; i < step_nr_pages(s); i++)
		if (s->pages[i] == CACHED && s->c->states[i] & PTE_MAPPED)
			s->pages[i] = KEEP;
}

static bool has_wanted(const struct step *s)
{
	struct uffdctl_range run;
	uint64_t at = s->range.start;

	return step_next_run(s, WANTED, &at, &run);
}

static int fill_window(struct step *s)
{
	struct chunk *c = s->c;
	int r = 0;

	step_leave_swapped(s);
	for (int i = 0; i < FILL_TRIES && r >= 0; i++) {
		window_enter(s);
		r = step_read_states(s);
		/* If the mapping is gone, the page table looks as empty as if nothing had been touched. */
		if (r >= 0)
			r = recheck_file(&c->job->recheck, c->job->h, c->part->seg.vma, s->range);
		drop_mapped(s);
		if (r >= 0)
			r = window_find_elsewhere(s);
		if (r >= 0)
			window_write(s);
		if (r >= 0 && !has_wanted(s))
			return 0;
	}
	return r < 0 ? r : -EFAULT;
}

static bool is_written(const struct step *s, uint64_t i)
{
	return s->pages[i] == MADE || s->pages[i] == WRITTEN;
}

/*
 * @nr: all pages that the step began with, also those that were not continued because of an error. Mapped pages need
 * nothing more.
 */
static void note_written(struct step *s, uint64_t nr)
{
	uint64_t bytes = 0;

	for (uint64_t i = 0; i < nr; i++)
		if (is_written(s, i) && !(s->c->states[i] & PTE_MAPPED))
			bytes += chunk_page_size(s->c);
	__atomic_fetch_add(&s->part->written, bytes, __ATOMIC_RELAXED);
}

/* ---- what becomes of them in the target ---- */

enum verdict fill_judge(const struct chunk *c, uint64_t i)
{
	const struct step *s = c->op_data;

	if (!s)
		return RESOLVE;
	if (c->states[i] & PTE_MAPPED)
		return LEAVE;
	return s->pages[i] == ELSEWHERE ? KEEP_OUT : is_written(s, i) ? RESOLVE_FILLED : RESOLVE;
}

/* Only an ioctl maps a page that is in the page cache: if it is mapped before us, another handler is at work. */
void fill_resolve(struct chunk *c, struct uffdctl_range run, bool wp)
{
	const struct step *s = c->op_data;
	struct tally before = c->tally;

	resolve_run(c, run, wp);
	c->tally.filled += c->tally.mapped - before.mapped;
	__atomic_fetch_add(&s->part->continued, tally_done(&c->tally) - tally_done(&before), __ATOMIC_RELAXED);
	if (c->tally.already > before.already && !filling_is_forced(c->job))
		chunk_conflict(c, run.start);
}

uint64_t fill_left_written(const struct job *job, const struct part *p)
{
	const struct fill_part *part = job->op_data ? filling_part(job, p) : NULL;

	return part && part->written > part->continued ? part->written - part->continued : 0;
}

/* A page that we have made did not exist before. */
static void check_made(struct step *s)
{
	for (uint64_t i = 0; !filling_is_forced(s->c->job) && i < step_nr_pages(s); i++)
		if (s->pages[i] == MADE && s->c->states[i] & PTE_MAPPED)
			chunk_conflict(s->c, s->range.start + i * chunk_page_size(s->c));
}

/* ---- a step ---- */

/* A handler that polls is noticed by what it does: it reads a message, or maps a page. */
static bool has_reader(const struct job *job)
{
	struct uffd_fdinfo info;

	return !filling_is_forced(job) && handle_fdinfo(job->h, &info) >= 0 && info.total > info.pending;
}

static void read_contents(struct step *s, struct uffdctl_range want)
{
	uint64_t done;
	int err = chunk_read(s->c, want, &done);

	if (err >= 0)
		return;
	s->unreadable = true;
	step_cut(s, want.start + done, err);
}

/* 1: nothing more can be done here; the error is noted. */
static int fill_wanted_pages(struct step *s, struct uffdctl_range want)
{
	uint64_t nr = step_nr_pages(s);
	int r;

	read_contents(s, want);
	if (!chunk_wait_changing(s->c, s->range.start))
		return 1;
	r = window_open(s);
	if (r >= 0)
		r = fill_window(s);
	note_written(s, nr);
	if (r >= 0)
		check_made(s);
	return r;
}

static int do_step(struct step *s)
{
	struct chunk *c = s->c;
	struct uffdctl_range want;
	int r = step_read_states(s);

	if (r < 0)
		return r;
	want = step_choose(s);
	if (c->gone)
		return 0;
	if (want.start < want.end)
		r = fill_wanted_pages(s, want);
	if (r == 1)
		return 0;
	if (r >= 0) {
		step_note_settled(s);
		resolve_pages(c, s->range);
	}
	window_close(s);
	if (r >= 0 && s->err < 0)
		(s->unreadable ? chunk_unreadable : chunk_gone)(c, s->err, s->range.end);
	return r;
}

static int fill_step(struct chunk *c, struct uffdctl_range range)
{
	struct step s = { .c = c, .f = c->job->op_data, .part = filling_part(c->job, c->part), .range = range };
	int r;

	if (has_reader(c->job)) {
		chunk_conflict(c, range.start);
		return 0;
	}
	c->op_data = &s;
	r = do_step(&s);
	c->op_data = NULL;
	return r;
}

int fill_chunk(struct chunk *c)
{
	uint64_t unit = MAX(CONTENTS_BYTES, chunk_page_size(c)), at = c->range.start;
	int r = chunk_reserve(c, unit);

	for (; at < c->range.end && !c->gone && r >= 0 && !chunk_stopped(c); at += unit)
		r = fill_step(c, range_common(c->range, (struct uffdctl_range){ at, at + unit }));
	return r;
}
