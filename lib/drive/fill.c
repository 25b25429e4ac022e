// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writing the contents of pages that are not mapped through a second mapping of their file.
 *
 * No byte of the target's may be lost by it, and no page may be seen blank or half written. So the contents
 * are in memory of our own before anything is done. Then, 256 KiB at a time:
 *
 *  1. The file is mapped by ourselves, and this window registered on a userfaultfd of our own, the guard.
 *  2. UFFDIO_COPY on the window puts a page into the page cache where none is: whole, and only if none is.
 *     UFFDIO_CONTINUE gives the window an entry of a page that is there. Nothing else makes or takes one:
 *     with the guard, an access of ours to a page that is gone fails (EFAULT) instead of making another.
 *  3. From now on whoever touches one of the pages in the range takes a minor fault and waits. So what the
 *     target's page table says of them next stays true; and /proc/self/pagemap tells whether the window's
 *     entry of a page is the only one there is, in any process (PM_MMAP_EXCLUSIVE).
 *  4. What was there already is written through the window, unless somebody else has it mapped.
 *  5. UFFDIO_CONTINUE on the range.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>

#include "lib/drive/fill.h"
#include "lib/inspect/alias.h"
#include "lib/inspect/pagecache.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/uapi.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"
#include "lib/util.h"

/* How often a page that is taken from the file under our hands is tried again. */
#define FILL_TRIES 100

struct file {
	const struct uffdctl_vma *vma; /* one that shows it */
	int fd;
};

struct filling {
	struct file *files; /* room for one a part, so that they stay where they are */
	size_t nr_files;
	struct alias_index aliases;
	size_t *first_part; /* by mapping: its first part's number + 1 */
	int guard;
	int own_pagemap;
	bool several; /* ranges, which may show the same pages */
	bool absent;  /* the last page was not in the page cache: neighbours are alike */
};

enum page_fill {
	KEEP,	/* mapped, or filled by another part, or past the end of the file */
	WANTED, /* to be filled */
	CACHED, /* in the page cache, and in the window */
	MADE,	/* put there by us */
	WRITTEN,
	ELSEWHERE, /* not to be written, since somebody has it mapped */
};

/* What is filled at a time. */
struct step {
	struct chunk *c;
	struct filling *f;
	struct uffdctl_range range;
	struct uffdctl_range mapped; /* that the window shows */
	char *window;
	uint64_t base;			  /* c->buf is for this address on */
	int err;			  /* why the rest of range is not done */
	bool unreadable;		  /* that is for want of contents */
	uint8_t pages[FILL_BYTES / 4096]; /* enum page_fill */
};

bool fill_wanted(const struct job *job)
{
	return job->opts->from_fd >= 0;
}

static bool is_forced(const struct job *job)
{
	return job->opts->flags & UFFDCTL_FORCE;
}

static uint64_t nr_pages(const struct step *s)
{
	return range_len(s->range) / page_of(s->c);
}

static uint64_t index_of(const struct step *s, uint64_t addr)
{
	return (addr - s->range.start) / page_of(s->c);
}

static void set_pages(struct step *s, struct uffdctl_range r, enum page_fill what)
{
	for (; r.start < r.end; r.start += page_of(s->c))
		s->pages[index_of(s, r.start)] = what;
}

/* The next run of pages alike from *at on; false when there is none. */
static bool next_run(const struct step *s, enum page_fill what, uint64_t *at, struct uffdctl_range *ret)
{
	uint64_t page = page_of(s->c);

	while (*at < s->range.end && s->pages[index_of(s, *at)] != what)
		*at += page;
	ret->start = *at;
	while (*at < s->range.end && s->pages[index_of(s, *at)] == what)
		*at += page;
	ret->end = *at;
	return ret->start < ret->end;
}

/* What is done ends here, with the error for what follows. */
static void cut(struct step *s, uint64_t at, int err)
{
	s->range.end = at;
	s->err = err;
}

/* ---- which pages are to be filled ---- */

static bool shares_pages(const struct part *p, struct uffdctl_range r, const struct part *q)
{
	return vma_same_file(p->seg.vma, q->seg.vma) && file_offset(p, r.start) < file_offset(q, q->seg.range.end) &&
	       file_offset(p, r.end) > file_offset(q, q->seg.range.start);
}

static uint64_t bit_of(const struct part *p, uint64_t offset)
{
	return (offset - file_offset(p, p->seg.range.start)) / p->seg.vma->page_size;
}

/* Did an earlier part fill this page of the file, or find it to be the target's already? */
static bool is_settled(const struct chunk *c, uint64_t addr)
{
	struct uffdctl_range page = { addr, addr + page_of(c) };
	uint64_t offset = file_offset(c->part, addr);

	if (!c->part->second_round)
		return false;
	for (const struct part *q = c->job->parts; q < c->part; q++)
		if (q->settled && shares_pages(c->part, page, q) &&
		    q->settled[bit_of(q, offset) / 8] >> bit_of(q, offset) % 8 & 1)
			return true;
	return false;
}

/* What a private mapping has mapped may be a page of its own, which says nothing of the file's. */
static bool settles(const struct step *s, uint64_t i)
{
	switch (s->pages[i]) {
	case KEEP:
		return !(s->c->states[i] & PTE_MAPPED) || s->c->vma.perms[3] == 's';
	case MADE:
	case WRITTEN:
		return true;
	default:
		return false;
	}
}

/* Two threads may be at bits of one byte. */
static void note_settled(struct step *s)
{
	struct part *p = s->c->part;
	uint64_t bit = bit_of(p, file_offset(p, s->range.start));

	for (uint64_t i = 0; p->settled && i < nr_pages(s); i++, bit++)
		if (settles(s, i))
			__atomic_fetch_or(&p->settled[bit / 8], 1 << bit % 8, __ATOMIC_RELAXED);
}

/* A huge page that moves shows as one that is marked, for a moment. */
static void settle(struct chunk *c, uint64_t addr, uint8_t *state)
{
	static const struct timespec pause = { .tv_nsec = 1000 * 1000L };
	struct uffdctl_range page = { addr, addr + page_of(c) };

	for (int i = 0; i < 50 && *state & PTE_UNSURE; i++) {
		nanosleep(&pause, NULL);
		if (pagemap_read(c->job->pagemap, c->part->seg.vma, page, state) < 0)
			return;
	}
	*state &= ~PTE_UNSURE;
}

static int look(struct step *s)
{
	struct chunk *c = s->c;
	int r = pagemap_read(c->job->pagemap, &c->vma, s->range, c->states);

	for (uint64_t i = 0; r >= 0 && page_of(c) > base_page_size() && i < nr_pages(s); i++)
		settle(c, s->range.start + i * page_of(c), &c->states[i]);
	return r;
}

/* Did an entry come from nowhere? Only ioctls make one for a page that is in the page cache. */
static bool appeared(const struct chunk *c, uint64_t addr)
{
	uint64_t i = (addr - c->part->seg.range.start) / page_of(c);

	return c->part->mapped_before && !(c->part->mapped_before[i / 8] >> (i % 8) & 1);
}

/* The part of the range that is to be filled, empty for nothing. */
static struct uffdctl_range choose(struct step *s)
{
	struct uffdctl_range ret = { s->range.end, s->range.start };
	uint64_t page = page_of(s->c);

	for (uint64_t at = s->range.start; at < s->range.end; at += page) {
		uint64_t i = index_of(s, at);
		bool mapped = s->c->states[i] & PTE_MAPPED, settled = is_settled(s->c, at);

		if (mapped && !settled && appeared(s->c, at)) {
			chunk_conflict(s->c, at);
			return (struct uffdctl_range){ at, at };
		}
		s->pages[i] = mapped || settled ? KEEP : WANTED;
		if (s->pages[i] != WANTED)
			continue;
		ret.start = MIN(ret.start, at);
		ret.end = at + page;
	}
	return ret;
}

static void read_contents(struct step *s, struct uffdctl_range want)
{
	const struct part *p = s->c->part;
	uint64_t done;
	int err = contents_read(&s->c->job->contents, p->from + (want.start - p->seg.range.start), s->c->buf,
				range_len(want), &done);

	s->base = want.start;
	if (err >= 0)
		return;
	s->unreadable = true;
	cut(s, want.start + round_down(done, page_of(s->c)), err);
}

static char *buf_at(const struct step *s, uint64_t addr)
{
	return s->c->buf + (addr - s->base);
}

/* ---- what is swapped out ---- */

/* cachestat(2), Linux 6.5. */
#define NR_CACHESTAT 451

struct cachestat_range {
	uint64_t off, len;
};

struct cachestat {
	uint64_t nr_cache, nr_dirty, nr_writeback, nr_evicted, nr_recently_evicted;
};

static int cachestat(int fd, uint64_t offset, uint64_t len, struct cachestat *ret)
{
	struct cachestat_range r = { offset, len };

	return syscall(NR_CACHESTAT, fd, &r, ret, 0) < 0 ? -errno : 0;
}

/* What becomes of a page that somebody has mapped elsewhere, or may have had. */
static enum page_fill elsewhere(const struct step *s, enum page_fill overwrite)
{
	switch (s->c->job->opts->elsewhere) {
	case UFFDCTL_ELSEWHERE_OVERWRITE:
		return overwrite;
	case UFFDCTL_ELSEWHERE_KEEP:
		return KEEP;
	default:
		return ELSEWHERE;
	}
}

static bool has_swapped(const struct step *s, struct uffdctl_range r)
{
	struct cachestat st;

	return cachestat(s->c->part->file->fd, file_offset(s->c->part, r.start), range_len(r), &st) == 0 &&
	       st.nr_evicted;
}

/* Of shmem no page table holds what is swapped out: who had it mapped, be it in the range, can't be told. */
static void leave_swapped(struct step *s)
{
	uint64_t page = page_of(s->c);

	if (page > base_page_size() || !has_swapped(s, s->range))
		return;
	for (uint64_t at = s->range.start; at < s->range.end; at += page)
		if (s->pages[index_of(s, at)] == WANTED && has_swapped(s, (struct uffdctl_range){ at, at + page }))
			s->pages[index_of(s, at)] = elsewhere(s, WANTED);
}

/* ---- the window ---- */

static char *window_at(const struct step *s, uint64_t addr)
{
	return s->window + (addr - s->mapped.start);
}

static struct uffdctl_range in_window(const struct step *s, struct uffdctl_range r)
{
	uint64_t start = (uintptr_t)window_at(s, r.start);

	return (struct uffdctl_range){ start, start + range_len(r) };
}

/* Pages past the end of the file stay as they are: CONTINUE will say that they are absent. */
static int end_at_file(struct step *s)
{
	uint64_t offset = file_offset(s->c->part, s->range.start), end = s->range.end, size;
	struct stat st;

	if (fstat(s->c->part->file->fd, &st) < 0)
		return -errno;
	size = st.st_size;

	if (offset + range_len(s->range) > size)
		end = s->range.start + (offset >= size ? 0 : round_up(size - offset, page_of(s->c)));
	for (uint64_t at = end; at < s->range.end; at += page_of(s->c))
		s->pages[index_of(s, at)] = KEEP;
	s->mapped = (struct uffdctl_range){ s->range.start, end };
	return 0;
}

/* On hugetlbfs no page is to be reserved by the mapping: what is made takes one that is free. */
static int open_window(struct step *s)
{
	const struct file *file = s->c->part->file;
	struct uffdctl_range own;
	char *p;
	int r;

	r = end_at_file(s);
	if (r < 0 || s->mapped.start == s->mapped.end)
		return r;
	p = mmap(NULL, range_len(s->mapped), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file->fd,
		 (off_t)file_offset(s->c->part, s->mapped.start));
	if (p == MAP_FAILED)
		return -errno;
	own = (struct uffdctl_range){ (uintptr_t)p, (uintptr_t)p + range_len(s->mapped) };
	r = uffd_register(s->f->guard, own, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR, NULL);
	if (r < 0) {
		munmap(p, range_len(s->mapped));
		return r;
	}
	s->window = p;
	return 0;
}

static void close_window(struct step *s)
{
	if (s->window)
		munmap(s->window, range_len(s->mapped));
}

/* ---- pages into the page cache, and into the window ---- */

/* @absent: true makes them, false takes those that are there */
static int enter_some(struct step *s, struct uffdctl_range r, bool absent, uint64_t *done)
{
	struct uffdctl_range own = in_window(s, r);
	int err;

	if (absent)
		err = uffd_copy(s->f->guard, own, buf_at(s, r.start), 0, done);
	else
		err = uffd_continue(s->f->guard, own, 0, done);
	set_pages(s, (struct uffdctl_range){ r.start, r.start + *done }, absent ? MADE : CACHED);
	return err;
}

static bool is_past_end(const struct step *s, uint64_t at)
{
	struct stat st;

	return fstat(s->c->part->file->fd, &st) == 0 && file_offset(s->c->part, at) >= (uint64_t)st.st_size;
}

/* Another way may do what this one can't. */
static bool try_other_way(int err, bool absent)
{
	return absent ? err == -EEXIST : err == -EFAULT;
}

static void enter_run(struct step *s, struct uffdctl_range r)
{
	uint64_t page = page_of(s->c), done = 0;
	int err = 0, turns = 0;

	for (; r.start < r.end; r.start += done) {
		bool absent = __atomic_load_n(&s->f->absent, __ATOMIC_RELAXED);

		err = enter_some(s, r, absent, &done);
		if (done) {
			turns = 0;
		} else if (try_other_way(err, absent) && ++turns < FILL_TRIES) {
			__atomic_store_n(&s->f->absent, !absent, __ATOMIC_RELAXED);
		} else if (!absent && err == -EEXIST) {
			/* It was entered at an earlier try. */
			set_pages(s, (struct uffdctl_range){ r.start, r.start + page }, CACHED);
			done = page;
		} else if (err == -EIO || err == -EHWPOISON) {
			set_pages(s, (struct uffdctl_range){ r.start, r.start + page }, KEEP);
			done = page;
		} else if (is_past_end(s, r.start)) {
			set_pages(s, r, KEEP);
			return;
		} else {
			/* Neither there nor to be made: hugetlbfs says EEXIST where no page is free. */
			cut(s, r.start, turns ? -ENOMEM : err);
			return;
		}
	}
}

static void enter(struct step *s)
{
	struct uffdctl_range run;

	for (uint64_t at = s->range.start; next_run(s, WANTED, &at, &run);)
		enter_run(s, run);
}

/* ---- what was there already ---- */

#define PM_PRESENT (UINT64_C(1) << 63)
#define PM_MMAP_EXCLUSIVE (UINT64_C(1) << 56)

static enum page_fill judge_entry(const struct step *s, uint64_t entry)
{
	/* It has been taken from the file, or is being migrated. */
	if (!(entry & PM_PRESENT))
		return WANTED;
	return entry & PM_MMAP_EXCLUSIVE ? CACHED : elsewhere(s, CACHED);
}

/* Which of the pages that are to be written are mapped by somebody else, be it the target, elsewhere. */
static int look_elsewhere(struct step *s)
{
	uint64_t entries[FILL_BYTES / 4096], base = base_page_size();
	struct uffdctl_range run;

	for (uint64_t at = s->range.start; next_run(s, CACHED, &at, &run);) {
		/* Of a huge page, the entry of its first part speaks for all. */
		uint64_t page = page_of(s->c), nr = range_len(run) / page;
		size_t bytes = nr * sizeof(*entries);
		off_t from = (off_t)((uintptr_t)window_at(s, run.start) / base * sizeof(*entries));

		if (page > base && nr > 1)
			run.end = at = run.start + page, nr = 1, bytes = sizeof(*entries);
		if (pread(s->f->own_pagemap, entries, bytes, from) != (ssize_t)bytes)
			return errno ? -errno : -EIO;
		for (uint64_t i = 0; i < nr; i++)
			s->pages[index_of(s, run.start + i * page)] = judge_entry(s, entries[i]);
	}
	return 0;
}

/* What somebody has mapped in the range since is theirs. */
static void drop_mapped(struct step *s)
{
	for (uint64_t i = 0; i < nr_pages(s); i++)
		if (s->pages[i] == CACHED && s->c->states[i] & PTE_MAPPED)
			s->pages[i] = KEEP;
}

/* By the kernel: where a page has gone from the file, it is an error and not a signal to us. */
static void write_cached(struct step *s)
{
	uint64_t page = page_of(s->c);
	struct uffdctl_range run;

	for (uint64_t at = s->range.start; next_run(s, CACHED, &at, &run);) {
		struct iovec from = { buf_at(s, run.start), range_len(run) };
		struct iovec to = { window_at(s, run.start), range_len(run) };
		ssize_t n = process_vm_writev(getpid(), &from, 1, &to, 1, 0);
		uint64_t done = n < 0 ? 0 : round_down((uint64_t)n, page);

		if (n < 0 && errno != EFAULT) {
			cut(s, run.start, -errno);
			return;
		}
		set_pages(s, (struct uffdctl_range){ run.start, run.start + done }, WRITTEN);
		if (done < range_len(run)) {
			at = run.start + done + page;
			s->pages[index_of(s, run.start + done)] = WANTED;
		}
	}
}

/* ---- a step ---- */

static bool has_wanted(const struct step *s)
{
	struct uffdctl_range run;
	uint64_t at = s->range.start;

	return next_run(s, WANTED, &at, &run);
}

static int fill_window(struct step *s)
{
	struct chunk *c = s->c;
	int r = 0;

	leave_swapped(s);
	for (int i = 0; i < FILL_TRIES && r >= 0; i++) {
		enter(s);
		r = look(s);
		/* Where the mapping is gone the page table is as empty as where nothing was touched. */
		if (r >= 0)
			r = recheck_file(&c->job->recheck, c->job->h, c->part->seg.vma, s->range);
		drop_mapped(s);
		if (r >= 0)
			r = look_elsewhere(s);
		if (r >= 0)
			write_cached(s);
		if (r >= 0 && !has_wanted(s))
			return 0;
	}
	return r < 0 ? r : -EFAULT;
}

/* Of all the step began with: also what is not continued, for an error that came after. What is mapped needs no more. */
static void note_written(struct step *s, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		if ((s->pages[i] == MADE || s->pages[i] == WRITTEN) && !(s->c->states[i] & PTE_MAPPED))
			s->c->tally.written += page_of(s->c);
}

/* For resolve_pages(). */
static void note_states(struct step *s)
{
	for (uint64_t i = 0; i < nr_pages(s); i++) {
		uint8_t *state = &s->c->states[i];

		if (s->pages[i] == ELSEWHERE)
			*state |= PTE_ELSEWHERE;
		if (s->pages[i] != MADE && s->pages[i] != WRITTEN)
			continue;
		/* It was not there before we made it. */
		if (*state & PTE_MAPPED && s->pages[i] == MADE && !is_forced(s->c->job))
			chunk_conflict(s->c, s->range.start + i * page_of(s->c));
		*state |= PTE_FILLED;
	}
}

/* A handler that polls is seen by what it does: a message that was read, a page that is mapped. */
static bool has_reader(const struct job *job)
{
	struct uffd_fdinfo info;

	return !is_forced(job) && handle_fdinfo(job->h, &info) >= 0 && info.total > info.pending;
}

static int fill_step(struct chunk *c, struct uffdctl_range range)
{
	struct step s = { .c = c, .f = c->job->op_data, .range = range };
	struct uffdctl_range want;
	int r;

	if (has_reader(c->job)) {
		chunk_conflict(c, range.start);
		return 0;
	}
	r = look(&s);
	if (r < 0)
		return r;
	want = choose(&s);
	if (c->gone)
		return 0;
	if (want.start < want.end) {
		read_contents(&s, want);
		if (!chunk_wait_changing(c, range.start))
			return 0;
		r = open_window(&s);
		if (r >= 0)
			r = fill_window(&s);
		note_written(&s, range_len(range) / page_of(c));
		if (r >= 0)
			note_states(&s);
	}
	if (r >= 0) {
		note_settled(&s);
		resolve_pages(c, s.range);
	}
	close_window(&s);
	if (r >= 0 && s.err < 0)
		(s.unreadable ? chunk_unreadable : chunk_gone)(c, s.err, s.range.end);
	return r;
}

int fill_chunk(struct chunk *c)
{
	uint64_t unit = MAX(FILL_BYTES, page_of(c)), at = c->range.start;
	int r = chunk_buf(c, unit);

	for (; at < c->range.end && !c->gone && r >= 0 && !chunk_stopped(c); at += unit)
		r = fill_step(c, range_common(c->range, (struct uffdctl_range){ at, at + unit }));
	return r;
}

/* ---- before and after ---- */

static int check_reader(const struct job *job)
{
	struct uffdctl_handle *h = job->h;
	int reader;

	if (is_forced(job))
		return 0;
	reader = handle_reader(h);
	if (reader == READER_DELIVERED)
		return fail(h->t->u, -EBUSY,
			    "%d: a handler has read a message of fd %d and not resolved the fault, and may fill the same pages: if it is dead, do \"uffdctl wake %d all\" first; --force fills all the same",
			    h->pid, h->fd, h->t->pid);
	if (reader > 0)
		return fail(h->t->u, -EBUSY,
			    "%d: somebody reads the messages of fd %d and may fill the same pages: suspend that handler (SIGSTOP; if it alone holds the userfaultfd, its end unregisters all); --force fills all the same",
			    h->pid, h->fd);
	if (reader < 0)
		return fail(h->t->u, -EBUSY,
			    "%d: whether a handler reads the messages of fd %d, and may fill the same pages, can't be told without BPF: if none does, --force fills",
			    h->pid, h->fd);
	return 0;
}

int fill_prepare(struct job *job, const struct uffdctl_maps *maps, const struct segments *segs)
{
	struct uffdctl *u = job->h->t->u;
	struct filling *f;
	int r;

	if (!fill_wanted(job))
		return 0;
	r = check_reader(job);
	if (r < 0)
		return r;
	job->needs_pagemap = true;
	job->op_data = f = calloc(1, sizeof(*f));
	if (!f)
		return log_oom(u);
	f->guard = -1;
	f->several = segs->nr > 1;
	f->own_pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (f->own_pagemap < 0)
		return fail(u, -errno, "/proc/self/pagemap: %s", strerror(errno));
	f->files = calloc(segs->nr + 1, sizeof(*f->files));
	f->first_part = calloc(maps->nr + 1, sizeof(*f->first_part));
	if (!f->files || !f->first_part || alias_build(maps, &f->aliases) < 0)
		return log_oom(u);
	r = uffd_guard(&f->guard);
	return r < 0 ? fail(u, r, "a userfaultfd of our own, to fill pages safely: %s", strerror(-r)) : 0;
}

static int has_part(const struct uffdctl_vma *other, struct uffdctl_range r, void *arg)
{
	const struct filling *f = arg;

	(void)r;
	return f->first_part[other - f->aliases.maps->vmas] != 0;
}

/*
 * What the target maps shared and has registered it may write. Of a private mapping it may have no more than
 * the right to read the file, which is not to become ours to write: the mode of the link is that of the file.
 */
static bool may_write(struct uffdctl_target *t, const struct uffdctl_vma *v)
{
	struct stat st;
	char path[64];

	if (v->perms[3] == 's')
		return true;
	snprintf(path, sizeof(path), "map_files/%" PRIx64 "-%" PRIx64, v->range.start, v->range.end);
	return fstatat(t->procfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mode & S_IWUSR;
}

static int fail_read_only(struct job *job, const struct uffdctl_vma *v)
{
	_cleanup_free_ char *what = vma_describe(v);

	return fail(job->h->t->u, -EACCES,
		    "%d: %s: private, and the process has not opened its file for writing, as filling would: register it for missing, then \"uffdctl copy\" gives the process pages of its own",
		    job->h->t->pid, what);
}

/* Another file may have been mapped there since the mappings were read, as if to have that one written. */
static bool is_file_of(int fd, const struct uffdctl_vma *v)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == v->inode && major(st.st_dev) == v->dev_major &&
	       minor(st.st_dev) == v->dev_minor;
}

static int open_file(struct job *job, struct part *p)
{
	const struct uffdctl_vma *v = p->seg.vma;
	struct filling *filling = job->op_data;
	struct file *f = filling->files + filling->nr_files;
	int r;

	for (size_t i = 0; i < filling->nr_files && !p->file; i++)
		if (vma_same_file(filling->files[i].vma, v))
			p->file = &filling->files[i];
	if (p->file)
		return 0;
	if (!may_write(job->h->t, v))
		return fail_read_only(job, v);
	r = pagecache_open(job->h->t, v, &f->fd);
	if (r < 0)
		return r;
	if (!is_file_of(f->fd, v)) {
		cleanup_close(&f->fd);
		return fail(job->h->t->u, -ENOENT, "%d: %" PRIx64 ": another file is mapped there than a moment ago",
			    job->h->t->pid, v->range.start);
	}
	filling->nr_files++;
	f->vma = v;
	p->file = f;
	return 0;
}

/* By mincore(2) on a mapping of ours, which has no entry of its own. Of hugetlbfs that looks into the page table alone. */
static bool is_all_cached(const struct part *p)
{
	uint64_t len = range_len(p->seg.range), page = base_page_size(), n;
	uint8_t states[1 << 14];
	bool all = true;
	char *map = mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_NORESERVE, p->file->fd,
			 (off_t)file_offset(p, p->seg.range.start));

	if (map == MAP_FAILED)
		return false;
	for (uint64_t at = 0; at < len && all; at += n * page) {
		n = MIN((len - at) / page, sizeof(states));
		all = mincore(map + at, n * page, states) == 0;
		for (uint64_t i = 0; i < n && all; i++)
			all = states[i] & 1;
	}
	munmap(map, len);
	return all;
}

static uint8_t *new_bits(const struct part *p)
{
	return calloc(range_len(p->seg.range) / p->seg.vma->page_size / 8 + 1, 1);
}

/*
 * Which pages are mapped now: where each touch is a fault that waits, more can't be by the target's own
 * doing. Elsewhere pages that are missing appear whenever it touches them.
 */
static int remember_mapped(struct job *job, struct part *p)
{
	struct uffdctl_range at = { p->seg.range.start, p->seg.range.start };
	uint64_t page = p->seg.vma->page_size, bit = 0;
	uint8_t states[512];
	int r = 0;

	if (is_forced(job) || (!(p->seg.vma->modes & UFFDCTL_MODE_MISSING) && !is_all_cached(p)))
		return 0;
	p->mapped_before = new_bits(p);
	if (!p->mapped_before)
		return log_oom(job->h->t->u);
	for (; r >= 0 && at.start < p->seg.range.end; at.start = at.end) {
		at.end = MIN(at.start + sizeof(states) * page, p->seg.range.end);
		r = pagemap_read(job->pagemap, p->seg.vma, at, states);
		for (uint64_t i = 0; r >= 0 && i < range_len(at) / page; i++, bit++)
			if (states[i] & PTE_MAPPED)
				p->mapped_before[bit / 8] |= 1 << bit % 8;
	}
	return r < 0 ? fail(job->h->t->u, r, "%d: /proc/%d/pagemap: %s", job->h->t->pid, job->h->t->pid, strerror(-r))
		     : 0;
}

/* Two ranges of one mapping. */
static bool shares_pages_with_any(const struct job *job, const struct part *p, size_t first)
{
	for (const struct part *q = job->parts + first; q < p; q++)
		if (shares_pages(p, p->seg.range, q))
			return true;
	return false;
}

int fill_add_part(struct job *job, struct part *p)
{
	const struct uffdctl_vma *v = p->seg.vma;
	struct filling *filling = job->op_data;
	size_t *first;
	int r;

	if (!fill_wanted(job))
		return 0;
	first = &filling->first_part[v - filling->aliases.maps->vmas];
	/* Pages that an earlier part offers wait until that is through. */
	p->second_round = alias_visit(&filling->aliases, v, p->seg.range, has_part, filling) ||
			  (*first && shares_pages_with_any(job, p, *first - 1));
	*first = *first ?: (size_t)(p - job->parts) + 1;
	p->settled = filling->several ? new_bits(p) : NULL;
	if (filling->several && !p->settled)
		return log_oom(job->h->t->u);
	r = open_file(job, p);
	return r < 0 || job->opts->flags & UFFDCTL_DRY_RUN ? r : remember_mapped(job, p);
}

void fill_finish(struct job *job)
{
	struct filling *f = job->op_data;

	for (size_t i = 0; i < job->nr_parts; i++) {
		free(job->parts[i].mapped_before);
		free(job->parts[i].settled);
	}
	if (!f)
		return;
	for (size_t i = 0; i < f->nr_files; i++)
		close(f->files[i].fd);
	free(f->files);
	free(f->first_part);
	alias_free(&f->aliases);
	cleanup_close(&f->guard);
	cleanup_close(&f->own_pagemap);
	free(f);
}
