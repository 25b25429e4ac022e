// SPDX-License-Identifier: LGPL-2.1-or-later
/* UFFDIO_CONTINUE in bulk, by several threads, optionally after filling pages through a second mapping. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "alias.h"
#include "handle.h"
#include "log.h"
#include "pagecache.h"
#include "pagemap.h"
#include "uffd.h"
#include "uapi.h"
#include "util.h"

/* What one thread takes at a time: two page tables, so that no two threads contend for one's lock. */
#define CHUNK_BYTES (UINT64_C(4) << 20)

/* What is filled at a time: little, since between a look at the mapping and the write it may go away. */
#define FILL_BYTES (UINT64_C(256) << 10)

/* How often a page that is taken from the file under our hands is tried again. */
#define FILL_TRIES 100

/* How long an unread event or a changing mapping may keep the kernel from letting us act. */
#define CHANGING_NS UINT64_C(2000000000)

struct tally {
	uint64_t mapped, already, absent;
	int err; /* the first, with its page */
	uint64_t err_addr;
};

struct file {
	const struct uffdctl_vma *vma; /* one that shows it */
	int fd;
	uint64_t size;
};

struct part {
	struct segment seg;
	uint64_t from;		 /* offset of its contents */
	const struct file *file; /* second mapping's; NULL if not needed */
	struct tally tally;
	bool gone;	   /* an error that concerns all of it */
	bool second_round; /* part of its file is in an earlier part too */
};

struct job {
	struct uffdctl_handle *h;
	const struct uffdctl_continue_opts *opts;
	struct part *parts;
	size_t nr_parts;
	int pagemap;

	/* For filling. */
	struct file *files; /* room for one a part, so that they stay where they are */
	size_t nr_files;
	struct alias_index aliases;
	size_t *first_part; /* by mapping: its first part's number + 1 */
	int guard;	    /* userfaultfd of ours, see map_window() */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t ended;
	unsigned int nr_running;
	size_t part; /* where the next chunk begins */
	uint64_t at;
	bool second_round;
	bool stop;
	uint64_t done_bytes, total_bytes;
};

/* What a thread has at hand for one chunk. */
struct chunk {
	struct job *job;
	struct part *part;
	struct uffdctl_range range;
	struct tally tally;
	struct uffdctl_range asleep; /* mapped by others: threads may sleep on it all the same */
	uint8_t *states;	     /* of its pages, where they were asked for */
	uint64_t retry_at;	     /* from here on what was looked at holds no longer; 0: all does */
	bool gone;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

static uint64_t page_of(const struct chunk *c)
{
	return c->part->seg.vma->page_size;
}

static void chunk_error(struct chunk *c, int err, uint64_t addr)
{
	if (c->tally.err)
		return;
	c->tally.err = err;
	c->tally.err_addr = addr;
}

static void chunk_gone(struct chunk *c, int err, uint64_t addr)
{
	chunk_error(c, err, addr);
	c->gone = true;
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

static bool stopped(struct job *job)
{
	return __atomic_load_n(&job->stop, __ATOMIC_RELAXED);
}

/* False when it lasted too long. */
static bool wait_changing(struct chunk *c, uint64_t *since)
{
	static const struct timespec pause = { .tv_nsec = 200 * 1000L };

	if (!*since)
		*since = now_ns();
	if (now_ns() - *since > CHANGING_NS || stopped(c->job))
		return false;
	nanosleep(&pause, NULL);
	return true;
}

/* EFAULT: no page in the page cache; before Linux 6.6 also one that is mapped by a huge entry. */
static bool is_mapped(struct chunk *c, uint64_t addr)
{
	struct uffdctl_range page = { addr, addr + page_of(c) };
	uint8_t state = 0;

	return pagemap_read(c->job->pagemap, c->part->seg.vma, page, &state) == 0 && state & PTE_MAPPED;
}

static uint64_t file_offset(const struct part *p, uint64_t addr)
{
	return p->seg.vma->offset + (addr - p->seg.vma->range.start);
}

/* EINVAL is what shmem says there. */
static bool is_past_end(struct chunk *c, uint64_t addr)
{
	uint64_t size;

	return pagecache_size(c->job->h->t, c->part->seg.vma, &size) == 0 && file_offset(c->part, addr) >= size;
}

static void continue_run(struct chunk *c, struct uffdctl_range r, uint64_t mode)
{
	uint64_t page = page_of(c), since = 0, end = r.end, done;
	int uffd = c->job->h->uffd;

	if (c->job->opts->flags & UFFDCTL_NO_WAKE)
		mode |= UFFDIO_CONTINUE_MODE_DONTWAKE;

	for (; r.start < end && !c->gone; r.end = end) {
		int err = uffd_continue(uffd, r, mode, &done);

		/* The mapping may have been split meanwhile: the call takes no more than one. */
		while (err == -ENOENT && range_len(r) > page) {
			r.end = r.start + round_up(range_len(r) / 2, page);
			err = uffd_continue(uffd, r, mode, &done);
		}
		c->tally.mapped += done;
		r.start += done;
		if (done) {
			since = 0;
			continue;
		}
		switch (err) {
		case -EAGAIN:
			if (wait_changing(c, &since))
				continue;
			chunk_gone(c, stopped(c->job) ? -EINTR : err, r.start);
			return;
		case -EEXIST:
			page_already(c, r.start);
			break;
		case -EFAULT:
			if (is_mapped(c, r.start))
				page_already(c, r.start);
			else
				c->tally.absent += page;
			break;
		case -EIO:
		case -EHWPOISON:
			chunk_error(c, err, r.start);
			break;
		case -EINVAL:
			if (is_past_end(c, r.start)) {
				c->tally.absent += end - r.start;
				r.start = end;
				continue;
			}
			/* fall through */
		default:
			chunk_gone(c, err, r.start);
			return;
		}
		r.start += page;
	}
	wake_asleep(c);
}

/* ---- filling ---- */

/* @done: out, bytes that were read, also where an error is returned */
static int read_full(int fd, char *buf, uint64_t len, uint64_t offset, uint64_t *done)
{
	for (*done = 0; *done < len;) {
		ssize_t n = pread(fd, buf + *done, len - *done, offset + *done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		*done += n;
	}
	return 0;
}

static bool same_file(const struct part *p, const struct part *q)
{
	const struct uffdctl_vma *v = p->seg.vma, *w = q->seg.vma;

	return v->inode == w->inode && v->dev_major == w->dev_major && v->dev_minor == w->dev_minor;
}

static bool shares_pages(const struct part *p, struct uffdctl_range r, const struct part *q)
{
	return same_file(p, q) && file_offset(p, r.start) < file_offset(q, q->seg.range.end) &&
	       file_offset(p, r.end) > file_offset(q, q->seg.range.start);
}

/* Was this page of the file offered by an earlier part? Then it is filled, or was the target's already. */
static bool is_claimed(const struct chunk *c, uint64_t addr)
{
	struct uffdctl_range page = { addr, addr + page_of(c) };

	if (!c->part->second_round)
		return false;
	for (const struct part *q = c->job->parts; q < c->part; q++)
		if (shares_pages(c->part, page, q))
			return true;
	return false;
}

/* A huge page that moves shows as one that is marked, for a moment. */
static void settle(struct chunk *c, uint64_t addr, uint8_t *state)
{
	static const struct timespec pause = { .tv_nsec = 1000 * 1000L };
	struct uffdctl_range page = { addr, addr + page_of(c) };

	if (page_of(c) == base_page_size())
		return;
	for (int i = 0; i < 50 && *state & PTE_UNSURE; i++) {
		nanosleep(&pause, NULL);
		if (pagemap_read(c->job->pagemap, c->part->seg.vma, page, state) < 0)
			return;
	}
	*state &= ~PTE_UNSURE;
}

static uint64_t continue_mode(const struct chunk *c, uint8_t state)
{
	return c->job->opts->flags & UFFDCTL_WRITE_PROTECT || state & PTE_WP ? UFFDIO_CONTINUE_MODE_WP : 0;
}

struct alias_walk {
	struct chunk *c;
	struct uffdctl_range range;
};

/* A page that the target has mapped through another mapping of the file is not ours to write either. */
static int mark_alias(const struct uffdctl_vma *other, struct uffdctl_range r, void *arg)
{
	struct alias_walk *walk = arg;
	const struct uffdctl_vma *v = walk->c->part->seg.vma;
	uint64_t page = v->page_size;
	uint8_t states[FILL_BYTES / 4096];
	uint64_t first = v->range.start + (other->offset + (r.start - other->range.start) - v->offset);
	int err;

	/* Not of one page size: another file took the place of this one, with its number. */
	if (other->page_size != page)
		return -ENOENT;
	err = pagemap_read(walk->c->job->pagemap, other, r, states);
	for (uint64_t i = 0; err >= 0 && i < range_len(r) / page; i++)
		if (states[i] & PTE_MAPPED)
			walk->c->states[(first - walk->range.start) / page + i] |= PTE_ELSEWHERE;
	return err;
}

/* What may be done with a page: alike pages that follow each other are done at once. */
enum verdict {
	LEAVE, /* mapped: not ours to write */
	FILL,
	CONTINUE_ONLY,
	MARKED, /* read-write-protected: continuing would drop the mark */
};

static enum verdict judge(struct chunk *c, uint64_t addr, uint8_t *state)
{
	if (*state & PTE_WP && !(*state & PTE_MAPPED) && c->part->seg.vma->modes & UFFDCTL_MODE_RWP)
		return MARKED;
	if (c->job->opts->from_fd < 0)
		return CONTINUE_ONLY;
	settle(c, addr, state);
	if (*state & PTE_MAPPED)
		return LEAVE;
	return *state & PTE_ELSEWHERE || is_claimed(c, addr) ? CONTINUE_ONLY : FILL;
}

/* Pages past the end of the file stay as they are: CONTINUE will say that they are absent. */
static int map_window(struct chunk *c, struct uffdctl_range range, struct uffdctl_range *filled, char **ret)
{
	uint64_t offset = file_offset(c->part, range.start), len = range_len(range), size = c->part->file->size;
	struct uffdctl_range own;
	char *window;
	int r;

	len = offset >= size ? 0 : MIN(len, round_up(size - offset, page_of(c)));
	*filled = (struct uffdctl_range){ range.start, range.start + len };
	if (!len)
		return 0;
	window = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, c->part->file->fd, offset);
	if (window == MAP_FAILED)
		return -errno;
	/*
	 * From here on each page is in the page cache, so that whoever touches one that is not
	 * mapped takes a minor fault and waits: what the page table says next stays true. It
	 * would not when the page is taken out of the file (MADV_REMOVE, truncation) and another
	 * comes in its place; then the window loses its entry too, and with the window on a
	 * userfaultfd of ours, read(2) into it fails (EFAULT) instead of getting the other page.
	 */
	own = (struct uffdctl_range){ (uintptr_t)window, (uintptr_t)window + len };
	r = madvise(window, len, MADV_POPULATE_WRITE) < 0 ? -errno : 0;
	if (r == -EFAULT)
		r = -ENOSPC;
	if (r == 0)
		r = uffd_register(c->job->guard, own, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR, NULL);
	if (r < 0) {
		munmap(window, len);
		return r;
	}
	*ret = window;
	return 0;
}

static int look(struct chunk *c, struct uffdctl_range range)
{
	const struct uffdctl_vma *v = c->part->seg.vma;
	struct alias_walk walk = { c, range };
	int r = pagemap_read(c->job->pagemap, v, range, c->states);

	if (r < 0 || c->job->opts->from_fd < 0)
		return r;
	r = alias_visit(&c->job->aliases, v, range, mark_alias, &walk);
	/* Where the mapping is gone the page table is as empty as where nothing was touched. */
	return r < 0 ? r : vma_is_still(c->job->h->t, v, range);
}

static void leave_run(struct chunk *c, struct uffdctl_range run)
{
	for (; run.start < run.end; run.start += page_of(c))
		page_already(c, run.start);
	wake_asleep(c);
}

/* What was read only in part is not for the target to see: it waits there until a later continue. */
static void fill_run(struct chunk *c, struct uffdctl_range run, uint64_t mode, char *window,
		     struct uffdctl_range filled)
{
	uint64_t from = c->part->from + (run.start - c->part->seg.range.start), done = 0;
	struct uffdctl_range ready = run;
	int err = 0;

	if (run.start < filled.end)
		err = read_full(c->job->opts->from_fd, window + (run.start - filled.start),
				MIN(run.end, filled.end) - run.start, from, &done);
	if (err < 0)
		ready.end = run.start + round_down(done, page_of(c));
	continue_run(c, ready, mode);
	if (err == -EFAULT)
		c->retry_at = ready.end;
	else if (err < 0)
		chunk_gone(c, err, ready.end);
}

static void do_run(struct chunk *c, struct uffdctl_range run, enum verdict verdict, uint8_t state, char *window,
		   struct uffdctl_range filled)
{
	if (c->gone || c->retry_at)
		return;
	switch (verdict) {
	case LEAVE:
		leave_run(c, run);
		break;
	case FILL:
		fill_run(c, run, continue_mode(c, state), window, filled);
		break;
	case CONTINUE_ONLY:
		continue_run(c, run, continue_mode(c, state));
		break;
	case MARKED:
		chunk_error(c, -EUCLEAN, run.start);
		break;
	}
}

/* Page by page: for filling, and where write-protect marks must outlive the continue. */
static int do_pages(struct chunk *c, struct uffdctl_range range)
{
	uint64_t page = page_of(c), nr = range_len(range) / page;
	struct uffdctl_range filled = {}, run = { range.start, range.start };
	enum verdict verdict = LEAVE, next;
	char *window = NULL;
	uint8_t state = 0;
	int r = 0;

	c->retry_at = 0;
	if (c->job->opts->from_fd >= 0)
		r = map_window(c, range, &filled, &window);
	if (r >= 0)
		r = look(c, range);
	for (uint64_t i = 0; r >= 0 && i < nr; i++) {
		uint64_t addr = range.start + i * page;

		next = judge(c, addr, &c->states[i]);
		if (run.end > run.start && (next != verdict || (c->states[i] ^ state) & PTE_WP)) {
			do_run(c, run, verdict, state, window, filled);
			run.start = addr;
		}
		verdict = next;
		state = c->states[i];
		run.end = addr + page;
	}
	if (r >= 0)
		do_run(c, run, verdict, state, window, filled);
	if (window)
		munmap(window, range_len(filled));
	return r;
}

static int fill_chunk(struct chunk *c)
{
	uint64_t unit = MAX(FILL_BYTES, page_of(c)), at = c->range.start;
	int r = 0, tries = 0;

	while (at < c->range.end && !c->gone && r >= 0) {
		struct uffdctl_range range = range_common(c->range, (struct uffdctl_range){ at, at + unit });

		r = do_pages(c, range);
		if (c->retry_at == at && ++tries == FILL_TRIES)
			return -EFAULT;
		if (c->retry_at != at)
			tries = 0;
		at = c->retry_at ?: range.end;
	}
	return r;
}

static void do_chunk(struct chunk *c)
{
	struct job *job = c->job;
	uint64_t marking = UFFDCTL_MODE_RWP | (job->opts->flags & UFFDCTL_WRITE_PROTECT ? 0 : UFFDCTL_MODE_WP);
	int r = 0;

	if (job->opts->from_fd >= 0)
		r = fill_chunk(c);
	else if (c->part->seg.vma->modes & marking)
		r = do_pages(c, c->range);
	else
		continue_run(c, c->range, continue_mode(c, 0));
	if (r < 0)
		chunk_gone(c, r, c->range.start);
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
	if (c->tally.err && (!sum->err || c->tally.err_addr < sum->err_addr)) {
		sum->err = c->tally.err;
		sum->err_addr = c->tally.err_addr;
	}
	c->part->gone |= c->gone;
	job->done_bytes += range_len(c->range);
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
		do_chunk(&c);
		pthread_mutex_lock(&job->lock);
		add_tally(job, &c);
	}
	job->nr_running--;
	pthread_cond_signal(&job->ended);
	pthread_mutex_unlock(&job->lock);
	return NULL;
}

static void wait_and_show(struct job *job)
{
	const struct uffdctl_continue_opts *o = job->opts;
	struct timespec until;
	uint64_t done;

	pthread_mutex_lock(&job->lock);
	while (job->nr_running) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 100 * 1000L * 1000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		pthread_cond_timedwait(&job->ended, &job->lock, &until);
		if (!o->progress)
			continue;
		done = job->done_bytes;
		/* It may write to a slow terminal: nobody else shall wait for that. */
		pthread_mutex_unlock(&job->lock);
		if (o->progress(o->data, done, job->total_bytes))
			__atomic_store_n(&job->stop, true, __ATOMIC_RELAXED);
		pthread_mutex_lock(&job->lock);
	}
	pthread_mutex_unlock(&job->lock);
}

static unsigned int nr_threads(const struct job *job)
{
	cpu_set_t cpus;
	uint64_t n = job->opts->nr_threads, chunks = job->total_bytes / CHUNK_BYTES + 1;

	if (!n)
		n = sched_getaffinity(0, sizeof(cpus), &cpus) < 0 ? 1 : CPU_COUNT(&cpus);
	return MIN(n, chunks);
}

/* Threads that can't be had are done without, as long as there is one. */
static int run_round(struct job *job, bool second_round)
{
	unsigned int want = nr_threads(job), nr = 0;
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
		return "unmapped, remapped or unregistered meanwhile (ENOENT)";
	case -ESRCH:
		return "the process's memory is gone (ESRCH)";
	case -EHWPOISON:
	case -EIO:
		return "hardware-poisoned page, or the contents can't be read (EIO)";
	case -EINVAL:
		return "refused (EINVAL): no minor faults on this memory, or the kernel can't keep write-protect marks (needs Linux 6.4)";
	case -EOPNOTSUPP:
		return "write-protect marks of huge pages can't be seen on this kernel (needs Linux 6.7): --wp marks all";
	case -ENODATA:
		return "the contents ended early";
	case -ENOMEM:
	case -ENOSPC:
		return "no memory, or no free huge page, for pages of this file";
	case -EINTR:
		return "interrupted";
	case -EPERM:
		return "the file may not be written (sealed?)";
	case -EFAULT:
		return "the process takes the page out of its file again and again (MADV_REMOVE, truncation)";
	case -EUCLEAN:
		return "read-write-protected: continuing would drop the mark (uffdctl rwprotect)";
	default:
		return strerror(-err);
	}
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
		.error = p->tally.err,
	};

	if (job->opts->flags & UFFDCTL_DRY_RUN)
		res.mapped = res.already = res.absent = UFFDCTL_UNKNOWN;
	if (res.error && asprintf(&text, "%" PRIx64 ": %s", p->tally.err_addr, error_text(res.error)) < 0)
		text = NULL;
	res.error_text = res.error ? text ?: error_text(res.error) : NULL;
	fn(job->opts->data, &res);
}

static void refuse(struct job *job, const struct segment *seg, const char *text, int err, uffdctl_result_fn fn)
{
	struct uffdctl_result res = { .range = seg->range, .modes = seg->vma->modes, .error = err, .error_text = text };

	fn(job->opts->data, &res);
}

/* Of all only what minor faults can come from. */
static bool is_minor(const struct uffdctl_vma *v, uint64_t ctx, void *arg)
{
	struct job *job = arg;

	return v->modes & UFFDCTL_MODE_MINOR && handle_owner(job->h, v, ctx) == OWNER_US;
}

/* NULL if the part may be continued as asked. */
static char *objection(struct job *job, const struct segment *seg, int *ret_err)
{
	const struct uffdctl_continue_opts *o = job->opts;

	switch (handle_owner(job->h, seg->vma, seg->ctx)) {
	case OWNER_NONE:
		*ret_err = -ENOENT;
		return strdup("not registered");
	case OWNER_OTHER:
		*ret_err = -EBUSY;
		return handle_other_owner(job->h, seg->vma);
	case OWNER_US:
		break;
	}
	*ret_err = -EINVAL;
	if (o->from_fd >= 0 && !(seg->vma->modes & UFFDCTL_MODE_MINOR))
		return strdup("not registered for minor: the process could touch pages while they are filled");
	if (vma_kind(job->h->t, seg->vma) == VMA_ANON)
		return strdup("anonymous memory has no minor faults: nothing to continue (see uffdctl unregister)");
	if (o->flags & UFFDCTL_WRITE_PROTECT && !(seg->vma->modes & UFFDCTL_MODE_WP))
		return strdup("not registered for wp");
	*ret_err = 0;
	return NULL;
}

static bool shows_file(const struct uffdctl_vma *v, const struct uffdctl_vma *w)
{
	return v->inode == w->inode && v->dev_major == w->dev_major && v->dev_minor == w->dev_minor;
}

static int has_part(const struct uffdctl_vma *other, struct uffdctl_range r, void *arg)
{
	const struct job *job = arg;

	(void)r;
	return job->first_part[other - job->aliases.maps->vmas] != 0;
}

static int open_second_mapping(struct job *job, struct part *p)
{
	const struct uffdctl_vma *v = p->seg.vma;
	size_t *first = &job->first_part[v - job->aliases.maps->vmas];
	struct file *f = job->files + job->nr_files;
	struct stat st;
	int r;

	/* Pages that an earlier part offers wait until that is through. */
	p->second_round = *first || alias_visit(&job->aliases, v, p->seg.range, has_part, job);
	*first = *first ?: (size_t)(p - job->parts) + 1;
	for (size_t i = 0; i < job->nr_files && !p->file; i++)
		if (shows_file(job->files[i].vma, v))
			p->file = &job->files[i];
	if (p->file)
		return 0;
	r = pagecache_open(job->h->t, v, &f->fd);
	if (r < 0)
		return r;
	job->nr_files++;
	if (fstat(f->fd, &st) < 0)
		return fail(job->h->t->u, -errno, "fstat: %s", strerror(errno));
	f->vma = v;
	f->size = st.st_size;
	p->file = f;
	return 0;
}

/* What filling needs beyond continuing. */
static int prepare_filling(struct job *job, const struct uffdctl_maps *maps, size_t nr)
{
	static const uint64_t features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM |
					 UFFD_FEATURE_MISSING_HUGETLBFS | UFFD_FEATURE_MINOR_HUGETLBFS;
	struct uffdctl *u = job->h->t->u;
	int r;

	if (job->opts->from_fd < 0)
		return 0;
	job->files = calloc(nr + 1, sizeof(*job->files));
	job->first_part = calloc(maps->nr + 1, sizeof(*job->first_part));
	if (!job->files || !job->first_part || alias_build(maps, &job->aliases) < 0)
		return log_oom(u);
	r = uffd_create(&job->guard);
	if (r >= 0)
		r = uffd_handshake(job->guard, features, NULL);
	return r < 0 ? fail(u, r, "a userfaultfd of our own, to fill pages safely: %s", strerror(-r)) : 0;
}

/* Contents for everything must be there before anything is changed. */
static int check_source(struct job *job, uint64_t need)
{
	const struct uffdctl_continue_opts *o = job->opts;
	struct uffdctl *u = job->h->t->u;
	struct stat st;
	off_t size;

	if (o->from_fd < 0)
		return 0;
	if (fstat(o->from_fd, &st) < 0)
		return fail(u, -errno, "the contents: %s", strerror(errno));
	if (S_ISCHR(st.st_mode))
		return 0;
	size = lseek(o->from_fd, 0, SEEK_END);
	if (size < 0)
		return fail(u, -errno, "the contents: %s (needs a regular file or a block device)", strerror(errno));
	if (o->from_offset > (uint64_t)size || (uint64_t)size - o->from_offset < need)
		return fail(u, -ENODATA,
			    "the contents are too short: %" PRIu64 " bytes from offset %" PRIu64
			    " on, the ranges need %" PRIu64,
			    MAX((uint64_t)size, o->from_offset) - o->from_offset, o->from_offset, need);
	return 0;
}

/* Without it a plain continue does as well: it is asked only why a page could not be continued. */
static int open_pagemap(struct job *job, const struct segments *segs)
{
	bool needed = job->opts->from_fd >= 0;
	int r = pagemap_open(job->h->t, &job->pagemap);

	for (size_t i = 0; i < segs->nr; i++)
		needed |= segs->segs[i].vma->modes & (UFFDCTL_MODE_WP | UFFDCTL_MODE_RWP);
	if (r < 0 && r != -ESRCH && needed)
		return fail(job->h->t->u, r,
			    "%d: /proc/%d/pagemap: %s (needs CAP_DAC_READ_SEARCH for another user's process)",
			    job->h->t->pid, job->h->t->pid, strerror(-r));
	return r == -ESRCH ? r : 0;
}

static int check_reader(struct job *job)
{
	struct uffdctl_handle *h = job->h;
	int reader;

	if (job->opts->from_fd < 0 || job->opts->flags & UFFDCTL_FORCE)
		return 0;
	reader = handle_has_reader(h);
	if (reader == HANDLE_DELIVERED)
		return fail(h->t->u, -EBUSY,
			    "%d: a handler has read a message of fd %d and not resolved the fault, and may fill the same pages: if it is dead, do \"uffdctl wake %d all\" first; or insist with --force",
			    h->pid, h->fd, h->t->pid);
	if (reader > 0)
		return fail(h->t->u, -EBUSY,
			    "%d: somebody reads the messages of fd %d and may fill the same pages: suspend that handler (SIGSTOP; if it alone holds the userfaultfd, its end unregisters all), or insist with --force",
			    h->pid, h->fd);
	if (reader < 0)
		return fail(h->t->u, -EBUSY,
			    "%d: whether a handler reads the messages of fd %d, and may fill the same pages, can't be told without BPF: if none does, insist with --force",
			    h->pid, h->fd);
	return 0;
}

/* Objections are reported as they are found; what is left becomes parts. */
static int add_parts(struct job *job, struct segments *segs, uffdctl_result_fn fn, bool *failed)
{
	uint64_t from = job->opts->from_offset;
	int r, err;

	job->nr_parts = 0;
	job->parts = calloc(segs->nr + 1, sizeof(*job->parts));
	if (!job->parts)
		return log_oom(job->h->t->u);
	for (size_t i = 0; i < segs->nr; i++) {
		_cleanup_free_ char *text = objection(job, &segs->segs[i], &err);
		struct part *p = &job->parts[job->nr_parts];

		if (err) {
			refuse(job, &segs->segs[i], text ?: strerror(-err), err, fn);
			*failed = true;
		} else {
			*p = (struct part){ .seg = segs->segs[i], .from = from };
			r = job->opts->from_fd < 0 ? 0 : open_second_mapping(job, p);
			job->nr_parts++;
			if (r < 0)
				return r;
			job->total_bytes += range_len(p->seg.range);
		}
		from += range_len(segs->segs[i].range);
	}
	return check_source(job, from - job->opts->from_offset);
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
		return fail(job->h->t->u, r, "starting threads: %s", strerror(-r));
	for (size_t i = 0; i < job->nr_parts; i++) {
		report(job, &job->parts[i], fn);
		*failed |= job->parts[i].tally.err || job->parts[i].tally.absent;
	}
	return job->stop ? -EINTR : 0;
}

UFFDCTL_EXPORT int uffdctl_continue(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				    const struct uffdctl_continue_opts *opts, uffdctl_result_fn fn)
{
	struct job job = {
		.h = h,
		.opts = opts,
		.pagemap = -1,
		.guard = -1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.ended = PTHREAD_COND_INITIALIZER,
	};
	struct uffdctl_maps *maps = NULL;
	struct range_filter filter = { .all = is_minor, .arg = &job, .glob_registered = true };
	struct segments segs = {};
	bool failed = false;
	int r = handle_maps(h, &maps);

	for (size_t i = 0; r >= 0 && i < ranges->nr; i++) {
		int err = range_resolve(h->t, maps, &ranges->specs[i], &filter, &segs);

		failed |= err < 0;
		/* Contents follow on from range to range: without one, those of the rest would be wrong. */
		if (err == -ENOMEM || err == -ESRCH || (err < 0 && opts->from_fd >= 0))
			r = err;
	}
	if (r >= 0)
		r = open_pagemap(&job, &segs);
	if (r >= 0)
		r = check_reader(&job);
	if (r >= 0)
		r = prepare_filling(&job, maps, segs.nr);
	if (r >= 0)
		r = add_parts(&job, &segs, fn, &failed);
	if (r >= 0)
		r = run_job(&job, fn, &failed);
	for (size_t i = 0; i < job.nr_files; i++)
		close(job.files[i].fd);
	free(job.files);
	free(job.first_part);
	alias_free(&job.aliases);
	cleanup_close(&job.guard);
	free(job.parts);
	cleanup_close(&job.pagemap);
	segments_free(&segs);
	uffdctl_maps_free(maps);
	return r < 0 ? r : failed ? -EIO : 0;
}
