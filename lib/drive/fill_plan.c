// SPDX-License-Identifier: LGPL-2.1-or-later
/* Filling: the checks and the state before it begins, and the cleanup after it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/drive/fill.h"
#include "lib/drive/fill_choose.h"
#include "lib/inspect/pagecache.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/mincore.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"

static int check_reader(const struct job *job)
{
	struct uffdctl_handle *h = job->h;
	int reader;

	if (filling_is_forced(job))
		return 0;
	reader = handle_reader(h);
	if (reader == READER_DELIVERED)
		return fail(h->t->u, -EBUSY,
			    "%d: a handler has read a message of fd %d but not resolved the fault, and may fill the same pages: if it is dead, run \"uffdctl wake %d all\" first; to fill all the same, use --force",
			    h->pid, h->fd, h->t->pid);
	if (reader > 0)
		return fail(h->t->u, -EBUSY,
			    "%d: a handler reads the messages of fd %d and may fill the same pages: suspend it with SIGSTOP (if it is the only holder, killing it unregisters everything); to fill all the same, use --force",
			    h->pid, h->fd);
	if (reader < 0)
		return fail(h->t->u, -EBUSY,
			    "%d: without BPF it is not known whether a handler reads the messages of fd %d and may fill the same pages: if none does, use --force%s",
			    h->pid, h->fd, iter_remedy(h->t->u));
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
	f->own_pagemap = -1;
	r = pagemap_open_own(&f->own_pagemap);
	if (r < 0)
		return fail(u, r, "/proc/self/pagemap: %s", strerror(-r));
	f->nr_parts = segs->nr;
	f->parts = calloc(segs->nr + 1, sizeof(*f->parts));
	f->files = calloc(segs->nr + 1, sizeof(*f->files));
	f->first_part = calloc(maps->nr + 1, sizeof(*f->first_part));
	if (!f->parts || !f->files || !f->first_part || alias_build(maps, &f->aliases) < 0)
		return log_oom(u);
	r = uffd_guard(&f->guard);
	return r < 0 ? fail(u, r, "making a userfaultfd to fill pages safely: %s", strerror(-r)) : 0;
}

static int has_part(const struct uffdctl_vma *other, struct uffdctl_range r, void *arg)
{
	const struct filling *f = arg;

	(void)r;
	return f->first_part[other - f->aliases.maps->vmas] != 0;
}

/*
 * The target may write to a file that it has mapped shared and registered. For a private mapping it may have only the
 * right to read the file, and then we must not write to it. The mode of the link is the mode in which the file was
 * opened.
 */
static bool may_write(struct uffdctl_target *t, const struct uffdctl_vma *v)
{
	struct stat st;
	char path[PROC_MAP_FILE_BYTES];

	if (vma_is_shared(v))
		return true;
	proc_map_file(v->range, path);
	return fstatat(t->procfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mode & S_IWUSR;
}

static int fail_read_only(struct job *job, const struct uffdctl_vma *v)
{
	_cleanup_free_ char *what = vma_describe(v);

	return fail(job->h->t->u, -EACCES,
		    "%d: %s: a private mapping, and the process has not opened its file for writing, so its file is not written: register it for missing and run \"uffdctl copy\", which gives the process pages of its own",
		    job->h->t->pid, what);
}

static const struct file *find_file(const struct filling *f, const struct uffdctl_vma *v)
{
	for (size_t i = 0; i < f->nr_files; i++)
		if (vma_same_file(f->files[i].vma, v))
			return &f->files[i];
	return NULL;
}

static int open_file(struct job *job, const struct uffdctl_vma *v, const struct file **ret)
{
	struct filling *filling = job->op_data;
	struct file *f = filling->files + filling->nr_files;
	int r;

	*ret = find_file(filling, v);
	if (*ret)
		return 0;
	if (!may_write(job->h->t, v))
		return fail_read_only(job, v);
	r = pagecache_open(job->h->t, v, &f->fd);
	if (r < 0)
		return r;
	filling->nr_files++;
	f->vma = v;
	*ret = f;
	return 0;
}

static uint8_t *new_bits(const struct part *p)
{
	return calloc(range_len(p->seg.range) / p->seg.vma->page_size / 8 + 1, 1);
}

/* Never true for hugetlbfs. */
static bool is_all_cached(const struct part *p, const struct file *file)
{
	return mincore_has_all(file->fd, part_offset(p, p->seg.range.start), range_len(p->seg.range));
}

/*
 * Record which pages are mapped now. If every access to other pages faults and waits, the target can't map more by
 * itself. In other ranges, missing pages appear whenever it touches them.
 */
static int remember_mapped(struct job *job, const struct part *p, struct fill_part *fp)
{
	struct uffdctl_range at = { p->seg.range.start, p->seg.range.start };
	uint64_t page = p->seg.vma->page_size, bit = 0;
	uint8_t states[512];
	int r = 0;

	if (filling_is_forced(job) || (!(p->seg.vma->modes & UFFDCTL_MODE_MISSING) && !is_all_cached(p, fp->file)))
		return 0;
	fp->mapped_before = new_bits(p);
	if (!fp->mapped_before)
		return log_oom(job->h->t->u);
	for (; r >= 0 && at.start < p->seg.range.end; at.start = at.end) {
		at.end = MIN(at.start + sizeof(states) * page, p->seg.range.end);
		r = pagemap_read(job->pagemap, p->seg.vma, at, states);
		for (uint64_t i = 0; r >= 0 && i < range_len(at) / page; i++, bit++)
			if (states[i] & PTE_MAPPED)
				fp->mapped_before[bit / 8] |= 1 << bit % 8;
	}
	return r < 0 ? fail(job->h->t->u, r, "%d: /proc/%d/pagemap: %s", job->h->t->pid, job->h->t->pid, strerror(-r))
		     : 0;
}

/* Two ranges of one mapping. */
static bool shares_pages_with_any(const struct job *job, const struct part *p, size_t first)
{
	for (const struct part *q = job->parts + first; q < p; q++)
		if (parts_share_pages(p, p->seg.range, q))
			return true;
	return false;
}

int fill_add_part(struct job *job, struct part *p)
{
	const struct uffdctl_vma *v = p->seg.vma;
	struct filling *filling = job->op_data;
	struct fill_part *fp;
	size_t *first;
	int r;

	if (!fill_wanted(job))
		return 0;
	fp = filling_part(job, p);
	first = &filling->first_part[v - filling->aliases.maps->vmas];
	/* Pages that an earlier part also covers wait until that part is finished. */
	p->second_round = alias_visit(&filling->aliases, v, p->seg.range, has_part, filling) ||
			  (*first && shares_pages_with_any(job, p, *first - 1));
	*first = *first ?: (size_t)(p - job->parts) + 1;
	fp->settled = filling->several ? new_bits(p) : NULL;
	if (filling->several && !fp->settled)
		return log_oom(job->h->t->u);
	r = open_file(job, v, &fp->file);
	return r < 0 || job->opts->flags & UFFDCTL_ACTION_DRY_RUN ? r : remember_mapped(job, p, fp);
}

void fill_finish(struct job *job)
{
	struct filling *f = job->op_data;

	if (!f)
		return;
	for (size_t i = 0; f->parts && i < f->nr_parts; i++) {
		free(f->parts[i].mapped_before);
		free(f->parts[i].settled);
	}
	for (size_t i = 0; i < f->nr_files; i++)
		close(f->files[i].fd);
	free(f->parts);
	free(f->files);
	free(f->first_part);
	alias_free(&f->aliases);
	cleanup_close(&f->guard);
	cleanup_close(&f->own_pagemap);
	free(f);
}
