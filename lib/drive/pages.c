// SPDX-License-Identifier: LGPL-2.1-or-later
/* The ioctl on the pages of a chunk: what its errors mean, and which marks it must not drop. */
#include <errno.h>

#include "lib/drive/chunk.h"
#include "lib/drive/pages.h"
#include "lib/inspect/pagecache.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/uffd.h"

/* ---- pages that somebody else mapped ---- */

static void wake_asleep(struct chunk *c)
{
	if (c->asleep.end > c->asleep.start && !(c->job->opts->flags & UFFDCTL_ACTION_NO_WAKE))
		uffd_wake(c->job->h->uffd, c->asleep);
	c->asleep = (struct uffdctl_range){};
}

/* Wake its waiters, as CONTINUE would have done. */
static void page_already(struct chunk *c, uint64_t addr)
{
	uint64_t page = chunk_page_size(c);

	c->tally.already += page;
	if (c->asleep.end != addr) {
		wake_asleep(c);
		c->asleep.start = addr;
	}
	c->asleep.end = addr + page;
}

/* ---- what an error means ---- */

/* EFAULT: no page in the page cache; before Linux 6.6 also one that is mapped by a huge entry. */
static bool is_mapped(struct chunk *c, uint64_t addr)
{
	struct uffdctl_range page = { addr, addr + chunk_page_size(c) };
	uint8_t state = 0;

	return pagemap_read(c->job->pagemap, c->part->seg.vma, page, &state) == 0 && state & PTE_MAPPED;
}

/* There shmem returns EINVAL for a continue, and since Linux 7.3 ENOMEM for a copy. */
static bool is_past_end(struct chunk *c, uint64_t addr)
{
	struct stat st;

	return pagecache_stat(c->job->h->t, c->part->seg.vma, &st) == 0 &&
	       part_offset(c->part, addr) >= (uint64_t)st.st_size;
}

static bool is_cached(struct chunk *c, uint64_t addr)
{
	return vma_is_shared(&c->vma) && c->vma.inode && pagecache_has(c->job->h->t, &c->vma, addr) > 0;
}

/* The rest of a run of pages. */
struct attempt {
	struct uffdctl_range left;
	int err;	/* why the ioctl stopped at its beginning */
	uint64_t since; /* when it was first tried again; 0: it was not */
};

/* Handle an error: remove the pages that it concerns from the rest. False: going on is useless. */
typedef bool (*outcome_fn)(struct chunk *c, struct attempt *a);

static bool give_up(struct chunk *c, struct attempt *a)
{
	chunk_gone(c, a->err, a->left.start);
	return false;
}

/* The mapping changes, or an event is unread. */
static bool try_again(struct chunk *c, struct attempt *a)
{
	if (chunk_pause(c, &a->since))
		return true;
	a->err = job_stopped(c->job) ?: a->err;
	return give_up(c, a);
}

/* The ioctl found a page where it would have made one. A thread that is woken there waits again, for continue. */
static bool skip_present(struct chunk *c, struct attempt *a)
{
	const struct resolve_op *op = c->job->op;
	uint64_t page = chunk_page_size(c), addr = a->left.start;
	bool mapped = !op->makes_pages || c->job->pagemap < 0 || is_mapped(c, addr);

	a->left.start += page;
	if (!mapped && op->may_exist && !op->may_exist(c, addr)) {
		chunk_gone(c, -ENOMEM, addr);
		return false;
	}
	if (!mapped && c->vma.modes & UFFDCTL_MODE_MINOR)
		c->tally.unmapped += page;
	page_already(c, addr);
	return true;
}

static bool end_at_file(struct chunk *c, struct attempt *a)
{
	if (!is_past_end(c, a->left.start))
		return false;
	c->tally.absent += range_len(a->left);
	a->left.start = a->left.end;
	return true;
}

/* The ioctl returned EFAULT: there is no page, or, if it makes pages, none can be made. */
static bool skip_absent(struct chunk *c, struct attempt *a)
{
	uint64_t page = chunk_page_size(c);

	if (is_mapped(c, a->left.start))
		page_already(c, a->left.start);
	else if (!c->job->op->makes_pages)
		c->tally.absent += page;
	else if (end_at_file(c, a))
		return true;
	else
		chunk_error(c, a->err, a->left.start);
	a->left.start += page;
	return true;
}

static bool skip_poisoned(struct chunk *c, struct attempt *a)
{
	chunk_error(c, a->err, a->left.start);
	a->left.start += chunk_page_size(c);
	return true;
}

static bool check_end(struct chunk *c, struct attempt *a)
{
	return end_at_file(c, a) || give_up(c, a);
}

/* The kernel allocates a page before it sees that there is one. */
static bool check_room(struct chunk *c, struct attempt *a)
{
	return c->job->op->makes_pages && is_cached(c, a->left.start) ? skip_present(c, a) : check_end(c, a);
}

static const struct {
	int err;
	outcome_fn fn;
} outcomes[] = {
	{ -EAGAIN, try_again },	       { -EEXIST, skip_present }, { -EFAULT, skip_absent }, { -EIO, skip_poisoned },
	{ -EHWPOISON, skip_poisoned }, { -EINVAL, check_end },	  { -ENOMEM, check_room },  { -ENOSPC, check_room },
};

static outcome_fn outcome_of(int err)
{
	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
		if (outcomes[i].err == err)
			return outcomes[i].fn;
	return give_up;
}

void resolve_run(struct chunk *c, struct uffdctl_range range, bool wp)
{
	struct attempt a = { .left = range };
	uint64_t page = chunk_page_size(c), done;

	while (a.left.start < a.left.end && !c->gone) {
		struct uffdctl_range r = a.left;

		a.err = c->job->op->issue(c, r, wp, &done);
		/* The mapping may have been split meanwhile: one call handles only one mapping. */
		while (a.err == -ENOENT && range_len(r) > page) {
			r.end = r.start + round_up(range_len(r) / 2, page);
			a.err = c->job->op->issue(c, r, wp, &done);
		}
		c->tally.mapped += done;
		a.left.start += done;
		if (done)
			a.since = 0;
		else if (!outcome_of(a.err)(c, &a))
			break;
	}
	wake_asleep(c);
}

/* ---- runs of pages that are alike ---- */

static void leave_run(struct chunk *c, struct uffdctl_range run)
{
	for (; run.start < run.end; run.start += chunk_page_size(c))
		page_already(c, run.start);
	wake_asleep(c);
}

/* The kernel would replace poison by a page, and nobody would learn that it was lost. */
static void leave_poisoned(struct chunk *c, struct uffdctl_range run)
{
	c->tally.poisoned += range_len(run);
	leave_run(c, run);
}

static void do_run(struct chunk *c, struct uffdctl_range run, enum verdict verdict, bool wp)
{
	if (run.start == run.end || c->gone)
		return;
	switch (verdict) {
	case LEAVE:
		leave_run(c, run);
		break;
	case RESOLVE:
		resolve_run(c, run, wp);
		break;
	case RESOLVE_FILLED:
		c->job->op->resolve_filled(c, run, wp);
		break;
	case KEEP_OUT:
		c->tally.elsewhere += range_len(run);
		break;
	case POISONED:
		leave_poisoned(c, run);
		break;
	case MARKED:
		chunk_error(c, -EUCLEAN, run.start);
		break;
	}
}

static enum verdict judge(const struct chunk *c, uint64_t i)
{
	uint8_t state = c->states[i];

	if (state & PTE_WP && !(state & PTE_MAPPED) && c->vma.modes & UFFDCTL_MODE_RWP)
		return MARKED;
	if (state & PTE_POISONED)
		return POISONED;
	/* COPY and CONTINUE replace what holds no page, as poison, or a guard region: see pte_none_mostly(). */
	if (!c->op_data && state & PTE_MAPPED && !(state & PTE_UNSURE))
		return LEAVE;
	return c->job->op->judge ? c->job->op->judge(c, i) : RESOLVE;
}

void resolve_pages(struct chunk *c, struct uffdctl_range range)
{
	struct uffdctl_range run = { range.start, range.start };
	enum verdict verdict = LEAVE, next;
	bool wp = false, next_wp;

	for (uint64_t i = 0; run.end < range.end; i++) {
		next = judge(c, i);
		next_wp = c->states[i] & PTE_WP;
		if (next != verdict || next_wp != wp) {
			do_run(c, run, verdict, wp);
			run.start = run.end;
		}
		verdict = next;
		wp = next_wp;
		run.end += chunk_page_size(c);
	}
	do_run(c, run, verdict, wp);
}

int resolve_keeping_marks(struct chunk *c, struct uffdctl_range range)
{
	uint64_t marks = c->job->op->marks & ~(c->job->opts->flags & UFFDCTL_ACTION_WP ? UFFDCTL_MODE_WP : 0);
	int r;

	if (!(c->vma.modes & marks) && (c->job->pagemap < 0 || !pagemap_has_marks(c->job->pagemap, &c->vma, range))) {
		resolve_run(c, range, false);
		return 0;
	}
	r = pagemap_read(c->job->pagemap, &c->vma, range, c->states);
	if (r >= 0)
		resolve_pages(c, range);
	return r;
}
