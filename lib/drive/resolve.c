// SPDX-License-Identifier: LGPL-2.1-or-later
/* Resolving faults in bulk by several threads: what continue, copy and zeropage have in common. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/drive/governs.h"
#include "lib/drive/lock.h"
#include "lib/drive/resolve.h"
#include "lib/inspect/pagecache.h"
#include "lib/kernel/memcg.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"
#include "lib/util.h"

/* How long an unread event or a changing mapping may keep the kernel from letting us act. */
#define CHANGING_NS UINT64_C(2000000000)

uint64_t page_of(const struct chunk *c)
{
	return c->part->seg.vma->page_size;
}

void chunk_error(struct chunk *c, int err, uint64_t addr)
{
	if (c->tally.err)
		return;
	c->tally.err = err;
	c->tally.err_addr = addr;
}

void chunk_gone(struct chunk *c, int err, uint64_t addr)
{
	chunk_error(c, err, addr);
	c->gone = true;
}

void chunk_unreadable(struct chunk *c, int err, uint64_t addr)
{
	c->tally.unreadable |= !c->tally.err;
	chunk_gone(c, err, addr);
}

static void wake_asleep(struct chunk *c)
{
	if (c->asleep.end > c->asleep.start && !(c->job->opts->flags & UFFDCTL_NO_WAKE))
		uffd_wake(c->job->h->uffd, c->asleep);
	c->asleep = (struct uffdctl_range){};
}

/* Somebody else mapped the page. Whoever sleeps on it is woken, as CONTINUE would have done. */
static void page_already(struct chunk *c, uint64_t addr)
{
	c->tally.already += page_of(c);
	if (c->asleep.end != addr) {
		wake_asleep(c);
		c->asleep.start = addr;
	}
	c->asleep.end = addr + page_of(c);
}

static int stopped(struct job *job)
{
	return __atomic_load_n(&job->stop, __ATOMIC_RELAXED);
}

bool chunk_stopped(const struct chunk *c)
{
	return stopped(c->job) != 0;
}

/* True: by us, and not by another thread before. */
static bool stop_all(struct job *job, int err)
{
	int running = 0;

	return __atomic_compare_exchange_n(&job->stop, &running, err, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void chunk_conflict(struct chunk *c, uint64_t addr)
{
	struct uffdctl_handle *h = c->job->h;
	_cleanup_free_ char *fd = handle_describe(h);
	const char *or_itself = "";

	/* Such a page is there without a fault that waits. */
	if (!(c->vma.modes & UFFDCTL_MODE_MISSING))
		or_itself = " (or the process has taken pages out of its file and touched them again)";
	chunk_gone(c, -EBUSY, addr);
	if (stop_all(c->job, -EBUSY))
		log_error(h->t->u,
			  "%d: somebody else resolves faults of %s at the same time%s: stopped, so that nothing is filled twice; suspend that handler (SIGSTOP), or fill all the same with --force",
			  h->t->pid, fd, or_itself);
}

/* False when it lasted too long. */
static bool wait_changing(struct chunk *c, uint64_t *since)
{
	static const struct timespec pause = { .tv_nsec = 200 * 1000L };

	if (!*since)
		*since = now_ns(CLOCK_MONOTONIC);
	if (now_ns(CLOCK_MONOTONIC) - *since > CHANGING_NS || stopped(c->job))
		return false;
	nanosleep(&pause, NULL);
	return true;
}

bool chunk_wait_changing(struct chunk *c, uint64_t addr)
{
	uint64_t since = 0;

	while (uffd_is_changing(c->job->h->uffd))
		if (!wait_changing(c, &since)) {
			chunk_gone(c, stopped(c->job) ?: -EAGAIN, addr);
			return false;
		}
	return true;
}

/* EFAULT: no page in the page cache; before Linux 6.6 also one that is mapped by a huge entry. */
static bool is_mapped(struct chunk *c, uint64_t addr)
{
	struct uffdctl_range page = { addr, addr + page_of(c) };
	uint8_t state = 0;

	return pagemap_read(c->job->pagemap, c->part->seg.vma, page, &state) == 0 && state & PTE_MAPPED;
}

static uint64_t offset_at(const struct segment *s, uint64_t addr)
{
	return s->vma->offset + (addr - s->vma->range.start);
}

uint64_t file_offset(const struct part *p, uint64_t addr)
{
	return offset_at(&p->seg, addr);
}

/* There shmem says EINVAL for a continue, and since Linux 7.3 ENOMEM for a copy. */
static bool is_past_end(struct chunk *c, uint64_t addr)
{
	struct stat st;

	return pagecache_stat(c->job->h->t, c->part->seg.vma, &st) == 0 &&
	       file_offset(c->part, addr) >= (uint64_t)st.st_size;
}

static bool is_cached(struct chunk *c, uint64_t addr)
{
	return c->vma.perms[3] == 's' && c->vma.inode && pagecache_has(c->job->h->t, &c->vma, addr) > 0;
}

/* What a page is that the ioctl would have made. Woken, a thread waits there anew: for continue. */
static void page_there(struct chunk *c, uint64_t addr)
{
	const struct resolve_op *op = c->job->op;
	bool mapped = !op->makes_pages || c->job->pagemap < 0 || is_mapped(c, addr);

	if (!mapped && op->may_exist && !op->may_exist(c, addr)) {
		chunk_gone(c, -ENOMEM, addr);
		return;
	}
	if (!mapped && c->vma.modes & UFFDCTL_MODE_MINOR)
		c->tally.unmapped += page_of(c);
	page_already(c, addr);
}

/* No page is there; or, if the ioctl would have made one, none can be. */
static void page_fault(struct chunk *c, struct uffdctl_range *left)
{
	uint64_t page = page_of(c);

	if (is_mapped(c, left->start)) {
		page_already(c, left->start);
	} else if (!c->job->op->makes_pages) {
		c->tally.absent += page;
	} else if (is_past_end(c, left->start)) {
		c->tally.absent += range_len(*left);
		left->start = left->end;
		return;
	} else {
		chunk_error(c, -EFAULT, left->start);
	}
	left->start += page;
}

/* False if there is no use in going on. */
static bool go_on(struct chunk *c, struct uffdctl_range *left, int err, uint64_t *since)
{
	uint64_t page = page_of(c);

	switch (err) {
	case -EAGAIN:
		if (wait_changing(c, since))
			return true;
		chunk_gone(c, stopped(c->job) ?: err, left->start);
		return false;
	case -EEXIST:
		page_there(c, left->start);
		left->start += page;
		return true;
	case -EFAULT:
		page_fault(c, left);
		return true;
	case -EIO:
	case -EHWPOISON:
		chunk_error(c, err, left->start);
		left->start += page;
		return true;
	case -ENOSPC:
	case -EINVAL:
	case -ENOMEM:
		/* The kernel wants room for a page before it sees that one is there. */
		if (c->job->op->makes_pages && err != -EINVAL && is_cached(c, left->start)) {
			page_there(c, left->start);
			left->start += page;
			return true;
		}
		if (is_past_end(c, left->start)) {
			c->tally.absent += range_len(*left);
			left->start = left->end;
			return true;
		}
		/* fall through */
	default:
		chunk_gone(c, err, left->start);
		return false;
	}
}

void resolve_run(struct chunk *c, struct uffdctl_range range, bool wp)
{
	uint64_t page = page_of(c), since = 0, done;

	while (range.start < range.end && !c->gone) {
		struct uffdctl_range r = range;
		int err = c->job->op->act(c, r, wp, &done);

		/* The mapping may have been split meanwhile: the call takes no more than one. */
		while (err == -ENOENT && range_len(r) > page) {
			r.end = r.start + round_up(range_len(r) / 2, page);
			err = c->job->op->act(c, r, wp, &done);
		}
		c->tally.mapped += done;
		range.start += done;
		if (done)
			since = 0;
		else if (!go_on(c, &range, err, &since))
			break;
	}
	wake_asleep(c);
}

/* ---- memory of our own ---- */

#ifndef MAP_32BIT
#define MAP_32BIT 0
#endif

/*
 * The kernel holds the address of the source of a copy too against the bounds of the target's memory:
 * for a 32-bit process it has to be below 4 GiB.
 */
static char *low_pages(uint64_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_32BIT, -1, 0);

	if (p == MAP_FAILED)
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void chunk_free_buf(struct chunk *c)
{
	if (c->buf)
		munmap(c->buf, c->buf_bytes);
	c->buf = NULL;
	c->buf_bytes = 0;
}

int chunk_buf(struct chunk *c, uint64_t bytes)
{
	if (c->buf_bytes >= bytes)
		return 0;
	chunk_free_buf(c);
	c->buf = low_pages(bytes);
	c->buf_bytes = c->buf ? bytes : 0;
	return c->buf ? 0 : -ENOMEM;
}

/* ---- runs of pages that are alike ---- */

static void leave_run(struct chunk *c, struct uffdctl_range run)
{
	for (; run.start < run.end; run.start += page_of(c))
		page_already(c, run.start);
	wake_asleep(c);
}

static uint64_t all_done(const struct tally *t)
{
	return t->mapped + t->already + t->absent + t->elsewhere;
}

/* Nothing but an ioctl maps a page that is in the page cache: if it is there before us, another handler is at work. */
static void resolve_filled(struct chunk *c, struct uffdctl_range run, bool wp)
{
	struct tally before = c->tally;

	resolve_run(c, run, wp);
	c->tally.filled += c->tally.mapped - before.mapped;
	c->tally.settled += all_done(&c->tally) - all_done(&before);
	if (c->tally.already > before.already && !(c->job->opts->flags & UFFDCTL_FORCE))
		chunk_conflict(c, run.start);
}

static void do_run(struct chunk *c, struct uffdctl_range run, enum verdict verdict, bool wp)
{
	if (run.start == run.end || c->gone)
		return;
	switch (verdict) {
	case LEAVE:
		leave_run(c, run);
		break;
	case ACT:
		resolve_run(c, run, wp);
		break;
	case ACT_FILLED:
		resolve_filled(c, run, wp);
		break;
	case KEEP_OUT:
		c->tally.elsewhere += range_len(run);
		break;
	case MARKED:
		chunk_error(c, -EUCLEAN, run.start);
		break;
	}
}

static enum verdict judge(const struct chunk *c, uint8_t state)
{
	if (state & PTE_WP && !(state & PTE_MAPPED) && c->vma.modes & UFFDCTL_MODE_RWP)
		return MARKED;
	return c->job->op->judge ? c->job->op->judge(c, state) : ACT;
}

void resolve_pages(struct chunk *c, struct uffdctl_range range)
{
	struct uffdctl_range run = { range.start, range.start };
	enum verdict verdict = LEAVE, next;
	bool wp = false, next_wp;

	for (uint8_t *state = c->states; run.end < range.end; state++) {
		next = judge(c, *state);
		next_wp = *state & PTE_WP;
		if (next != verdict || next_wp != wp) {
			do_run(c, run, verdict, wp);
			run.start = run.end;
		}
		verdict = next;
		wp = next_wp;
		run.end += page_of(c);
	}
	do_run(c, run, verdict, wp);
}

int resolve_range(struct chunk *c, struct uffdctl_range range)
{
	uint64_t marks = c->job->op->marks & ~(c->job->opts->flags & UFFDCTL_WRITE_PROTECT ? UFFDCTL_MODE_WP : 0);
	int r;

	if (!(c->vma.modes & marks)) {
		resolve_run(c, range, false);
		return 0;
	}
	r = pagemap_read(c->job->pagemap, &c->vma, range, c->states);
	if (r >= 0)
		resolve_pages(c, range);
	return r;
}

/* ---- threads ---- */

static void skip_parts(struct job *job)
{
	while (job->part < job->nr_parts) {
		struct part *p = &job->parts[job->part];

		if (p->second_round == job->second_round && !p->gone && job->at < p->seg.range.end)
			return;
		job->part++;
		if (job->part < job->nr_parts)
			job->at = job->parts[job->part].seg.range.start;
	}
}

static bool next_chunk(struct job *job, struct chunk *c)
{
	uint64_t unit;

	skip_parts(job);
	if (job->part == job->nr_parts || stopped(job))
		return false;
	c->part = &job->parts[job->part];
	unit = MAX(CHUNK_BYTES, page_of(c));
	c->range.start = job->at;
	c->range.end = MIN(round_down(job->at, unit) + unit, c->part->seg.range.end);
	job->at = c->range.end;
	return true;
}

static void add_tally(struct job *job, struct chunk *c)
{
	struct tally *sum = &c->part->tally;

	sum->mapped += c->tally.mapped;
	sum->already += c->tally.already;
	sum->absent += c->tally.absent;
	sum->filled += c->tally.filled;
	sum->elsewhere += c->tally.elsewhere;
	sum->written += c->tally.written;
	sum->settled += c->tally.settled;
	sum->unmapped += c->tally.unmapped;
	if (c->tally.err && (!sum->err || c->tally.err_addr < sum->err_addr)) {
		sum->err = c->tally.err;
		sum->err_addr = c->tally.err_addr;
		sum->unreadable = c->tally.unreadable;
	}
	c->part->gone |= c->gone;
	job->done_bytes += range_len(c->range);
}

/* The part of the chunk that is one mapping now, if it may be done still. */
static int look_at_piece(struct chunk *c)
{
	struct segment seg = c->part->seg;
	int r;

	c->vma = *seg.vma;
	r = recheck_mapping(&c->job->recheck, c->job->h, &c->vma, &c->range);
	seg.vma = &c->vma;
	return r == 0 && c->job->op->objection && c->job->op->objection(c->job, &seg) ? -ENOENT : r;
}

static void do_pieces(struct chunk *c)
{
	struct uffdctl_range whole = c->range;
	int r;

	for (c->range.end = whole.start; c->range.end < whole.end && !c->gone;) {
		c->range = (struct uffdctl_range){ c->range.end, whole.end };
		r = look_at_piece(c);
		if (r >= 0)
			r = c->job->op->do_chunk(c);
		if (r < 0)
			chunk_gone(c, r, c->range.start);
	}
	c->range = whole;
}

static void *work(void *arg)
{
	struct job *job = arg;
	uint8_t states[CHUNK_BYTES / 4096];
	struct chunk c = { .job = job, .states = states };

	pthread_mutex_lock(&job->lock);
	while (next_chunk(job, &c)) {
		pthread_mutex_unlock(&job->lock);
		c.tally = (struct tally){};
		c.gone = false;
		do_pieces(&c);
		pthread_mutex_lock(&job->lock);
		add_tally(job, &c);
	}
	if (job->op->end_thread)
		job->op->end_thread(&c);
	job->nr_running--;
	pthread_cond_signal(&job->ended);
	pthread_mutex_unlock(&job->lock);
	return NULL;
}

static void wait_and_show(struct job *job)
{
	const struct uffdctl_resolve_opts *o = job->opts;
	struct timespec until;
	uint64_t done;

	pthread_mutex_lock(&job->lock);
	while (job->nr_running) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += 100 * 1000L * 1000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		pthread_cond_clockwait(&job->ended, &job->lock, CLOCK_MONOTONIC, &until);
		if (!o->progress)
			continue;
		done = job->done_bytes;
		/* It may write to a slow terminal: nobody else shall wait for that. */
		pthread_mutex_unlock(&job->lock);
		if (o->progress(o->data, done, job->total_bytes))
			stop_all(job, -EINTR);
		pthread_mutex_lock(&job->lock);
	}
	pthread_mutex_unlock(&job->lock);
}

static unsigned int nr_threads(const struct job *job, bool second_round)
{
	cpu_set_t cpus;
	uint64_t n = job->opts->nr_threads, chunks = job->total_bytes / CHUNK_BYTES + 1;

	/* Of ranges that show the same pages, each begins when those before it are through. */
	if (second_round)
		return 1;
	if (!n)
		n = sched_getaffinity(0, sizeof(cpus), &cpus) < 0 ? 1 : CPU_COUNT(&cpus);
	return MIN(n, chunks);
}

/* Threads that can't be had are done without, as long as there is one. */
static int run_round(struct job *job, bool second_round)
{
	unsigned int want = nr_threads(job, second_round), nr = 0;
	_cleanup_free_ pthread_t *threads = calloc(want, sizeof(*threads));
	int r = 0;

	if (!threads)
		return -ENOMEM;
	job->second_round = second_round;
	job->part = 0;
	job->at = job->nr_parts ? job->parts[0].seg.range.start : 0;
	pthread_mutex_lock(&job->lock);
	for (; nr < want && r == 0; nr += r == 0) {
		r = pthread_create(&threads[nr], NULL, work, job);
		job->nr_running += r == 0;
	}
	pthread_mutex_unlock(&job->lock);
	if (!nr)
		return -r;
	wait_and_show(job);
	for (unsigned int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* ---- before and after ---- */

static const char *error_text(int err)
{
	switch (err) {
	case -EAGAIN:
		return "the kernel refuses while an event of the userfaultfd is unread (EAGAIN): its handler must read it";
	case -ENOENT:
		return "unmapped, remapped, unregistered or registered otherwise meanwhile (ENOENT): see uffdctl smaps";
	case -ESRCH:
		return "the process's memory is gone (ESRCH)";
	case -EHWPOISON:
	case -EIO:
		return "hardware-poisoned page (EIO)";
	case -EINVAL:
		return "refused (EINVAL)";
	case -EOPNOTSUPP:
		return "write-protect marks of huge pages can't be seen on this kernel (needs Linux 6.7): --wp marks all";
	case -ENOMEM:
	case -ENOSPC:
		return "no memory, no free huge page, or no room in the file system (its size limit), for these pages";
	case -EINTR:
		return "interrupted";
	case -EFAULT:
		return "no page can be made there (EFAULT)";
	case -EBUSY:
		return "somebody else resolves faults there at the same time: the rest was not done";
	case -EUCLEAN:
		return "read-write-protected: the mark would be dropped, and only the process's handler can take it off (UFFDIO_RWPROTECT)";
	default:
		return strerror(-err);
	}
}

static int describe(const struct job *job, const struct tally *t, char **ret)
{
	const char *text = job->op->error_text ? job->op->error_text(t->err) : NULL, *what = "";
	char left[80] = "";

	if (t->err == -ENODATA) {
		text = "the contents ended early";
	} else if (t->unreadable) {
		what = "the contents: ";
		text = strerror(-t->err);
	}
	if (t->written > t->settled)
		snprintf(left, sizeof(left), "; %" PRIu64 " bytes were written, but not continued",
			 t->written - t->settled);
	return asprintf(ret, "%" PRIx64 ": %s%s%s", t->err_addr, what, text ?: error_text(t->err), left);
}

/* Why the rest was not tried, where nothing of it failed. */
static int why_left(struct job *job, const struct part *p)
{
	bool is_left = all_done(&p->tally) < range_len(p->seg.range) && !(job->opts->flags & UFFDCTL_DRY_RUN);

	return is_left ? stopped(job) : 0;
}

static void report(struct job *job, struct part *p, uffdctl_result_fn fn)
{
	_cleanup_free_ char *text = NULL;
	struct uffdctl_result res = {
		.range = p->seg.range,
		.modes = p->seg.vma->modes,
		.mapped = p->tally.mapped,
		.already = p->tally.already,
		.absent = p->tally.absent,
		/* What makes pages makes each with its contents. */
		.filled = job->op->makes_pages ? p->tally.mapped : p->tally.filled,
		.elsewhere = p->tally.elsewhere,
		.error = p->tally.err ?: why_left(job, p),
	};

	if (job->opts->flags & UFFDCTL_DRY_RUN && !p->objection)
		res.mapped = res.already = res.absent = res.filled = res.elsewhere = UFFDCTL_UNKNOWN;
	if (p->tally.err && !p->objection && describe(job, &p->tally, &text) < 0)
		text = NULL;
	if (res.error)
		res.error_text = p->objection ?: text ?: error_text(res.error);
	fn(job->opts->data, &res);
}

/* Of all only what such faults can come from. */
static bool is_wanted(const struct uffdctl_vma *v, uint64_t ctx, void *arg)
{
	struct job *job = arg;

	return v->modes & job->op->mode && handle_owner(job->h, v, ctx) == OWNER_US;
}

/* NULL if it may be done on the part as asked. */
static char *objection(struct job *job, const struct segment *seg, int *ret_err)
{
	const char *text;

	switch (handle_owner(job->h, seg->vma, seg->owner)) {
	case OWNER_NONE:
		*ret_err = -ENOENT;
		return strdup("not registered");
	case OWNER_OTHER:
		*ret_err = -EBUSY;
		return handle_other_owner(job->h, seg->vma);
	case OWNER_US:
		break;
	}
	if (job->opts->flags & UFFDCTL_BY_OFFSET && !seg->vma->inode)
		text = "anonymous memory is at no offset of a file: --by-offset can't place contents there";
	else
		text = job->op->objection ? job->op->objection(job, seg) : NULL;
	*ret_err = text ? -EINVAL : 0;
	return text ? strdup(text) : NULL;
}

/* Without it the ioctl alone does as well: it is asked only why a page could not be resolved. */
static int open_pagemap(struct job *job, const struct segments *segs)
{
	bool needed = job->needs_pagemap;
	int r = pagemap_open(job->h->t, &job->pagemap);

	for (size_t i = 0; i < segs->nr; i++)
		needed |= segs->segs[i].vma->modes & job->op->marks;
	if (r < 0 && r != -ESRCH && needed)
		return fail(job->h->t->u, r,
			    "%d: /proc/%d/pagemap: %s (needs CAP_DAC_READ_SEARCH for another user's process)",
			    job->h->t->pid, job->h->t->pid, strerror(-r));
	return r == -ESRCH ? r : 0;
}

/* What is objected to becomes a part too, so that all is reported in its order. */
static int add_parts(struct job *job, const struct segments *segs)
{
	uint64_t from = 0;

	job->nr_parts = 0;
	job->parts = calloc(segs->nr + 1, sizeof(*job->parts));
	if (!job->parts)
		return log_oom(job->h->t->u);
	for (size_t i = 0; i < segs->nr; i++) {
		struct part *p = &job->parts[job->nr_parts++];
		_cleanup_free_ char *text = NULL;
		int r;

		*p = (struct part){ .seg = segs->segs[i], .from = from };
		from += range_len(p->seg.range);
		if (job->opts->flags & UFFDCTL_BY_OFFSET)
			p->from = file_offset(p, p->seg.range.start);
		text = objection(job, &p->seg, &p->tally.err);
		if (p->tally.err) {
			p->gone = true;
			p->objection = strpool_get(&job->strings, text ?: strerror(ENOMEM));
			continue;
		}
		r = job->op->add_part ? job->op->add_part(job, p) : 0;
		if (r < 0)
			return r;
		job->total_bytes += range_len(p->seg.range);
	}
	return 0;
}

static uint64_t nr_unmapped(const struct job *job, const struct part *p)
{
	struct uffdctl_range r = { p->seg.range.start, p->seg.range.start }, whole = p->seg.range;
	uint64_t page = p->seg.vma->page_size, nr = 0;
	uint8_t states[512];

	for (; r.start < whole.end; r.start = r.end) {
		r.end = MIN(r.start + sizeof(states) * page, whole.end);
		if (pagemap_read(job->pagemap, p->seg.vma, r, states) < 0)
			return range_len(whole) / page;
		for (uint64_t i = 0; i < range_len(r) / page; i++)
			nr += !(states[i] & PTE_MAPPED);
	}
	return nr;
}

/* Bytes of memory that a part may need, at most. Huge pages are not charged like others. */
static uint64_t need_of(const struct job *job, const struct part *p)
{
	const struct uffdctl_vma *v = p->seg.vma;
	uint64_t need, there;
	struct stat st;

	if (p->gone || v->page_size > base_page_size() || !job->op->takes_memory(job, v))
		return 0;
	need = nr_unmapped(job, p) * v->page_size;
	if (v->perms[3] != 's' || pagecache_stat(job->h->t, v, &st) < 0)
		return need;
	there = MIN((uint64_t)st.st_size, (uint64_t)st.st_blocks * 512);
	return MIN(need, st.st_size - there);
}

/*
 * At the limit of its memory cgroup the kernel kills a process, and no signal of ours would tell whom. What the
 * target is charged is refused before, unless it is insisted on; what we are charged is told.
 */
static int check_room(struct job *job)
{
	bool ours = !job->op->makes_pages;
	_cleanup_close_ int self = ours ? open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	uint64_t room = memcg_room(ours ? self : job->h->t->procfd), need = 0;

	if (job->total_bytes <= room || job->opts->flags & UFFDCTL_FORCE)
		return 0;
	for (size_t i = 0; i < job->nr_parts; i++)
		need += need_of(job, &job->parts[i]);
	if (need <= room)
		return 0;
	if (!ours)
		return fail(job->h->t->u, -ENOMEM,
			    "%d: these pages may need %" PRIu64 " bytes, and its memory cgroup has room for %" PRIu64
			    ": at the limit the kernel would kill it (raise the limit; --force does it all the same)",
			    job->h->t->pid, need, room);
	log_warning(job->h->t->u,
		    "%d: these pages may need %" PRIu64 " bytes, and uffdctl's own memory cgroup, which pays for them, has room for %" PRIu64,
		    job->h->t->pid, need, room);
	return 0;
}

static void warn_unmapped(const struct job *job)
{
	uint64_t unmapped = 0;

	for (size_t i = 0; i < job->nr_parts; i++)
		unmapped += job->parts[i].tally.unmapped;
	if (unmapped)
		log_warning(job->h->t->u,
			    "%d: %" PRIu64 " bytes are in the page cache and not mapped: who touches them waits for a minor fault (uffdctl continue)",
			    job->h->t->pid, unmapped);
}

static int run_job(struct job *job, uffdctl_result_fn fn, bool *failed)
{
	bool dry = job->opts->flags & UFFDCTL_DRY_RUN, again = false;
	int r = dry ? 0 : run_round(job, false);

	for (size_t i = 0; i < job->nr_parts; i++)
		again |= job->parts[i].second_round;
	if (r >= 0 && again && !dry && !job->stop)
		r = run_round(job, true);
	if (r < 0)
		return fail(job->h->t->u, r, "starting threads: %s%s", strerror(-r),
			    r == -EAGAIN ? " (fewer may do: -t 1)" : "");
	for (size_t i = 0; i < job->nr_parts; i++) {
		report(job, &job->parts[i], fn);
		*failed |= job->parts[i].tally.err || job->parts[i].tally.absent || job->parts[i].tally.elsewhere;
	}
	warn_unmapped(job);
	return job->stop;
}

/* What the ranges come to. */
struct plan {
	struct uffdctl_maps *maps;
	struct segments segs;
	uint64_t bytes;	   /* of all of them */
	uint64_t contents; /* how far these must reach */
};

static void add_bytes(const struct job *job, const struct segment *s, struct plan *plan)
{
	plan->bytes += range_len(s->range);
	plan->contents = job->opts->flags & UFFDCTL_BY_OFFSET ? MAX(plan->contents, offset_at(s, s->range.end)) :
								plan->bytes;
}

static int make_plan(struct job *job, const struct uffdctl_ranges *ranges, struct plan *ret, bool *failed)
{
	struct range_filter filter = { .all = is_wanted, .arg = job, .glob_registered = true };
	int r = handle_maps(job->h, &ret->maps);

	for (size_t i = 0; r >= 0 && i < ranges->nr; i++) {
		int err = range_resolve(job->h->t, ret->maps, &ranges->specs[i], &filter, &ret->segs);

		*failed |= err < 0;
		/* Contents follow on from range to range: without one, those of the rest would be wrong. */
		if (err == -ENOMEM || err == -ESRCH || err == -EINTR || (err < 0 && job->opts->from_fd >= 0))
			r = err;
	}
	for (size_t i = 0; i < ret->segs.nr; i++)
		add_bytes(job, &ret->segs.segs[i], ret);
	if (r >= 0)
		r = governs_check(job->h, &ret->segs, false);
	return r >= 0 && job->op->prepare ? job->op->prepare(job, ret->maps, &ret->segs) : r;
}

static void finish(struct job *job)
{
	if (job->op->finish)
		job->op->finish(job);
	job->op_data = NULL;
}

static void free_plan(struct plan *plan)
{
	segments_free(&plan->segs);
	uffdctl_maps_free(plan->maps);
}

/* Of the same addresses in the same order, showing the same files: mappings may have been split or joined. */
static bool same_plan(struct job *job, const struct plan *a, const struct plan *b)
{
	uint64_t len;
	size_t k = 0;

	for (size_t i = 0; i < a->segs.nr; i++) {
		const struct segment *s = &a->segs.segs[i];

		if (recheck_file(&job->recheck, job->h, s->vma, s->range) < 0)
			return false;
		for (uint64_t at = s->range.start; at < s->range.end; at += len) {
			const struct uffdctl_range *r = k < b->segs.nr ? &b->segs.segs[k].range : NULL;

			if (!r || at < r->start || at >= r->end || b->segs.segs[k].vma->page_size != s->vma->page_size)
				return false;
			len = MIN(s->range.end, r->end) - at;
			k += at + len == r->end;
		}
	}
	return a->bytes == b->bytes;
}

/* Where nothing is changed nobody is in the way. */
static int lock(struct job *job)
{
	return job->opts->flags & UFFDCTL_DRY_RUN ? 0 : lock_take(job->h);
}

static void unlock(struct job *job)
{
	if (!(job->opts->flags & UFFDCTL_DRY_RUN))
		lock_release(job->h);
}

/* A pipe may have taken hours: what was found before may be wrong now. */
static int plan_again(struct job *job, const struct uffdctl_ranges *ranges, struct plan *plan, bool *failed)
{
	struct plan old = *plan;
	int r;

	finish(job);
	*plan = (struct plan){};
	r = make_plan(job, ranges, plan, failed);
	if (r >= 0 && !same_plan(job, &old, plan))
		r = fail(job->h->t->u, -ENOENT,
			 "%d: the mappings of these ranges changed while the contents were awaited: nothing was done (see uffdctl smaps)",
			 job->h->t->pid);
	free_plan(&old);
	return r;
}

int resolve(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, const struct uffdctl_resolve_opts *opts,
	    const struct resolve_op *op, uffdctl_result_fn fn)
{
	struct job job = {
		.h = h,
		.opts = opts,
		.op = op,
		.contents = { .fd = -1 },
		.pagemap = -1,
		.recheck = { .lock = PTHREAD_MUTEX_INITIALIZER },
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.ended = PTHREAD_COND_INITIALIZER,
	};
	struct plan plan = {};
	/* Nobody shall wait for the lock as long as we wait for a pipe. */
	bool failed = false, late = contents_is_pipe(opts->from_fd);
	int r = late ? 0 : lock(&job);

	if (r < 0)
		return r;
	r = make_plan(&job, ranges, &plan, &failed);
	/* Contents for everything must be there before anything is changed. */
	if (r >= 0)
		r = contents_open(h->t->u, opts, plan.contents, &job.contents);
	if (r >= 0 && job.contents.ours) {
		r = lock(&job);
		if (r >= 0)
			r = plan_again(&job, ranges, &plan, &failed);
	}
	if (r >= 0)
		r = open_pagemap(&job, &plan.segs);
	if (r >= 0)
		r = add_parts(&job, &plan.segs);
	if (r >= 0)
		r = check_room(&job);
	if (r >= 0)
		r = run_job(&job, fn, &failed);
	finish(&job);
	free_plan(&plan);
	contents_close(&job.contents);
	unlock(&job);
	free(job.parts);
	strpool_free(&job.strings);
	cleanup_close(&job.pagemap);
	return r < 0 ? r : failed ? -EIO : 0;
}
