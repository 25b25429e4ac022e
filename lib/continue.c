// SPDX-License-Identifier: LGPL-2.1-or-later
/* UFFDIO_CONTINUE in bulk, optionally after filling pages through a second mapping. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "alias.h"
#include "log.h"
#include "pagecache.h"
#include "pagemap.h"
#include "resolve.h"
#include "uapi.h"
#include "uffd.h"
#include "util.h"

/* How often a page that is taken from the file under our hands is tried again. */
#define FILL_TRIES 100

struct file {
	const struct uffdctl_vma *vma; /* one that shows it */
	int fd;
	uint64_t size;
};

/* What filling needs beyond continuing. */
struct filling {
	struct file *files; /* room for one a part, so that they stay where they are */
	size_t nr_files;
	struct alias_index aliases;
	size_t *first_part; /* by mapping: its first part's number + 1 */
	int guard;	    /* userfaultfd of ours, see map_window() */
};

static bool fills(const struct job *job)
{
	return job->opts->from_fd >= 0;
}

static int act(const struct chunk *c, struct uffdctl_range range, bool wp, uint64_t *done)
{
	unsigned int flags = c->job->opts->flags;
	uint64_t mode = (flags & UFFDCTL_NO_WAKE ? UFFDIO_CONTINUE_MODE_DONTWAKE : 0) |
			(flags & UFFDCTL_WRITE_PROTECT || wp ? UFFDIO_CONTINUE_MODE_WP : 0);

	return uffd_continue(c->job->h->uffd, range, mode, done);
}

/* ---- which pages may be filled ---- */

static bool same_file(const struct uffdctl_vma *v, const struct uffdctl_vma *w)
{
	return v->inode == w->inode && v->dev_major == w->dev_major && v->dev_minor == w->dev_minor;
}

static bool shares_pages(const struct part *p, struct uffdctl_range r, const struct part *q)
{
	return same_file(p->seg.vma, q->seg.vma) && file_offset(p, r.start) < file_offset(q, q->seg.range.end) &&
	       file_offset(p, r.end) > file_offset(q, q->seg.range.start);
}

/* Was this page of the file offered by an earlier part? Then it is filled, or was the target's already. */
static bool is_claimed(const struct chunk *c, uint64_t addr)
{
	struct uffdctl_range page = { addr, addr + page_of(c) };

	if (!c->part->second_round)
		return false;
	for (const struct part *q = c->job->parts; q < c->part; q++)
		if (!q->objection && shares_pages(c->part, page, q))
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

static enum verdict judge(struct chunk *c, uint64_t addr, uint8_t *state)
{
	if (!fills(c->job))
		return ACT;
	settle(c, addr, state);
	if (*state & PTE_MAPPED)
		return LEAVE;
	return *state & PTE_ELSEWHERE || is_claimed(c, addr) ? ACT : FILL;
}

/* ---- filling ---- */

/* Pages past the end of the file stay as they are: CONTINUE will say that they are absent. */
static int map_window(struct chunk *c, struct uffdctl_range range, uint64_t size)
{
	const struct filling *filling = c->job->op_data;
	uint64_t offset = file_offset(c->part, range.start), len = range_len(range);
	struct uffdctl_range own;
	char *window;
	int r;

	len = offset >= size ? 0 : MIN(len, round_up(size - offset, page_of(c)));
	c->held = (struct uffdctl_range){ range.start, range.start + len };
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
	if (r == 0)
		r = uffd_register(filling->guard, own, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR, NULL);
	if (r < 0) {
		munmap(window, len);
		return r;
	}
	c->window = window;
	return 0;
}

static void unmap_window(struct chunk *c)
{
	if (c->window)
		munmap(c->window, range_len(c->held));
	c->window = NULL;
}

/* What was read only in part is not for the target to see: it waits there until a later continue. */
static void fill(struct chunk *c, struct uffdctl_range run, bool wp)
{
	uint64_t from = c->part->from + (run.start - c->part->seg.range.start), done = 0;
	struct uffdctl_range ready = run;
	int err = 0;

	if (run.start < c->held.end)
		err = contents_read(&c->job->contents, from, c->window + (run.start - c->held.start),
				    MIN(run.end, c->held.end) - run.start, &done);
	if (err < 0)
		ready.end = run.start + round_down(done, page_of(c));
	resolve_run(c, ready, wp);
	if (err == -EFAULT)
		c->retry_at = ready.end;
	else if (err < 0)
		chunk_unreadable(c, err, ready.end);
}

static int look(struct chunk *c, struct uffdctl_range range)
{
	const struct uffdctl_vma *v = c->part->seg.vma; /* one of the index */
	const struct filling *filling = c->job->op_data;
	struct alias_walk walk = { c, range };
	int r = pagemap_read(c->job->pagemap, &c->vma, range, c->states);

	if (r >= 0)
		r = alias_visit(&filling->aliases, v, range, mark_alias, &walk);
	/* Where the mapping is gone the page table is as empty as where nothing was touched. */
	return r < 0 ? r : look_is_still(&c->job->look, c->job->h, v, range);
}

/* No page could be had (EFAULT): there is no room for it, or the file has become shorter. */
static int open_window(struct chunk *c, struct uffdctl_range range)
{
	uint64_t size = c->part->file->size;
	int r = map_window(c, range, size);
	struct stat st;

	while (r == -EFAULT && fstat(c->part->file->fd, &st) == 0 && (uint64_t)st.st_size < size) {
		size = st.st_size;
		r = map_window(c, range, size);
	}
	return r == -EFAULT ? -ENOSPC : r;
}

static int fill_pages(struct chunk *c, struct uffdctl_range range)
{
	int r = open_window(c, range);

	c->retry_at = 0;
	if (r >= 0)
		r = look(c, range);
	if (r >= 0)
		resolve_pages(c, range);
	unmap_window(c);
	return r;
}

static int do_chunk(struct chunk *c)
{
	uint64_t unit = MAX(FILL_BYTES, page_of(c)), at = c->range.start;
	int r = 0, tries = 0;

	if (!fills(c->job))
		return resolve_range(c, c->range);
	while (at < c->range.end && !c->gone && r >= 0) {
		struct uffdctl_range range = range_common(c->range, (struct uffdctl_range){ at, at + unit });

		r = fill_pages(c, range);
		if (c->retry_at == at && ++tries == FILL_TRIES)
			return -EFAULT;
		if (c->retry_at != at)
			tries = 0;
		at = c->retry_at ?: range.end;
	}
	return r;
}

/* ---- before and after ---- */

static const char *error_text(int err)
{
	switch (err) {
	case -EINVAL:
		return "refused (EINVAL): no minor faults on this memory, or the kernel can't keep write-protect marks (needs Linux 6.4)";
	case -EPERM:
		return "the file may not be written (sealed?)";
	case -EFAULT:
		return "the process takes the page out of its file again and again (MADV_REMOVE, truncation), or the contents can't be read (EFAULT)";
	default:
		return NULL;
	}
}

static const char *objection(const struct job *job, const struct segment *seg)
{
	uint64_t modes = seg->vma->modes;

	if (fills(job) && !(modes & UFFDCTL_MODE_MINOR))
		return "not registered for minor: the process could touch pages while they are filled";
	if (vma_kind(job->h->t, seg->vma) == VMA_ANON)
		return "anonymous memory has no minor faults: nothing to continue (see uffdctl unregister)";
	if (job->opts->flags & UFFDCTL_WRITE_PROTECT && !(modes & UFFDCTL_MODE_WP))
		return "not registered for wp";
	return NULL;
}

static int has_part(const struct uffdctl_vma *other, struct uffdctl_range r, void *arg)
{
	const struct filling *f = arg;

	(void)r;
	return f->first_part[other - f->aliases.maps->vmas] != 0;
}

static int open_second_mapping(struct job *job, struct part *p)
{
	const struct uffdctl_vma *v = p->seg.vma;
	struct filling *filling = job->op_data;
	size_t *first;
	struct file *f;
	struct stat st;
	int r;

	if (!fills(job))
		return 0;
	first = &filling->first_part[v - filling->aliases.maps->vmas];
	/* Pages that an earlier part offers wait until that is through. */
	p->second_round = *first || alias_visit(&filling->aliases, v, p->seg.range, has_part, filling);
	*first = *first ?: (size_t)(p - job->parts) + 1;
	for (size_t i = 0; i < filling->nr_files && !p->file; i++)
		if (same_file(filling->files[i].vma, v))
			p->file = &filling->files[i];
	if (p->file)
		return 0;
	f = filling->files + filling->nr_files;
	r = pagecache_open(job->h->t, v, &f->fd);
	if (r < 0)
		return r;
	filling->nr_files++;
	if (fstat(f->fd, &st) < 0)
		return fail(job->h->t->u, -errno, "fstat: %s", strerror(errno));
	f->vma = v;
	f->size = st.st_size;
	p->file = f;
	return 0;
}

static int check_reader(const struct job *job)
{
	struct uffdctl_handle *h = job->h;
	int reader;

	if (job->opts->flags & UFFDCTL_FORCE)
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

static int prepare(struct job *job, const struct uffdctl_maps *maps, const struct segments *segs)
{
	struct uffdctl *u = job->h->t->u;
	struct filling *f;
	int r;

	if (!fills(job))
		return 0;
	r = check_reader(job);
	if (r < 0)
		return r;
	job->needs_pagemap = true;
	job->op_data = f = calloc(1, sizeof(*f));
	if (!f)
		return log_oom(u);
	f->guard = -1;
	f->files = calloc(segs->nr + 1, sizeof(*f->files));
	f->first_part = calloc(maps->nr + 1, sizeof(*f->first_part));
	if (!f->files || !f->first_part || alias_build(maps, &f->aliases) < 0)
		return log_oom(u);
	r = uffd_guard(&f->guard);
	return r < 0 ? fail(u, r, "a userfaultfd of our own, to fill pages safely: %s", strerror(-r)) : 0;
}

static void finish(struct job *job)
{
	struct filling *f = job->op_data;

	if (!f)
		return;
	for (size_t i = 0; i < f->nr_files; i++)
		close(f->files[i].fd);
	free(f->files);
	free(f->first_part);
	alias_free(&f->aliases);
	cleanup_close(&f->guard);
	free(f);
}

/* The pages that it makes are ours to pay: they come by our mapping. */
static bool takes_memory(const struct job *job, const struct uffdctl_vma *v)
{
	(void)v;
	return fills(job);
}

static const struct resolve_op op = {
	.takes_memory = takes_memory,
	.mode = UFFDCTL_MODE_MINOR,
	.marks = UFFDCTL_MODE_WP | UFFDCTL_MODE_RWP,
	.act = act,
	.do_chunk = do_chunk,
	.judge = judge,
	.fill = fill,
	.prepare = prepare,
	.add_part = open_second_mapping,
	.objection = objection,
	.finish = finish,
	.error_text = error_text,
};

UFFDCTL_EXPORT int uffdctl_continue(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				    const struct uffdctl_resolve_opts *opts, uffdctl_result_fn fn)
{
	return resolve(h, ranges, opts, &op, fn);
}
