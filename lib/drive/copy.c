// SPDX-License-Identifier: LGPL-2.1-or-later
/* UFFDIO_COPY and UFFDIO_ZEROPAGE in bulk. */
#include <errno.h>

#include "lib/drive/chunk.h"
#include "lib/drive/ops.h"
#include "lib/drive/pages.h"
#include "lib/drive/resolve.h"
#include "lib/inspect/pagecache.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"

/* ---- copy ---- */

static int issue_copy(const struct chunk *c, struct uffdctl_range range, bool wp, uint64_t *done)
{
	uint64_t mode = c->job->opts->flags & UFFDCTL_ACTION_NO_WAKE ? UFFDIO_COPY_MODE_DONTWAKE : 0;

	(void)wp;
	/*
	 * The kernel would replace a mark by a page without one, and anonymous memory has no mark where there is no
	 * page: whoever copies the page must make sure that its first write is reported.
	 */
	if (c->vma.modes & UFFDCTL_MODE_WP)
		mode |= UFFDIO_COPY_MODE_WP;
	return uffd_copy(c->job->h->uffd, range, chunk_at(c, range.start), mode, done);
}

static int copy_chunk(struct chunk *c)
{
	uint64_t unit = MAX(CONTENTS_BYTES, chunk_page_size(c)), done;
	struct uffdctl_range step = c->range;
	int r = chunk_reserve(c, unit);

	for (; step.start < c->range.end && !c->gone && r >= 0 && !chunk_stopped(c); step.start = step.end) {
		int err;

		step.end = MIN(step.start + unit, c->range.end);
		err = chunk_read(c, step, &done);
		step.end = step.start + done;
		r = resolve_keeping_marks(c, step);
		if (err < 0)
			chunk_unreadable(c, err, step.end);
	}
	return r;
}

/*
 * If no huge page is free, hugetlb_mfill_atomic_pte() returns EEXIST for a page that does not exist: it takes an
 * empty place in the page table for an entry.
 */
static bool may_exist(struct chunk *c, uint64_t addr)
{
	if (chunk_page_size(c) == base_page_size())
		return true;
	/* The pages of a private mapping are in its page table, or nowhere. */
	return vma_is_shared(&c->vma) && pagecache_has(c->job->h->t, &c->vma, addr) > 0;
}

static const char *copy_error_text(int err)
{
	return err == -EINVAL ? "refused (EINVAL): this kernel has no UFFDIO_COPY for this memory" : NULL;
}

/* With wp_async the kernel itself lets the write go on; otherwise a handler must. */
static void warn_writers(const struct job *job)
{
	_cleanup_free_ char *fd = handle_describe(job->h);

	if (!(job->h->features & UFFD_FEATURE_WP_ASYNC) && handle_reader(job->h) == READER_NONE)
		log_warning(job->h->t->u,
			    "%d: ranges registered for wp get write-protected pages, and no handler was seen reading %s: threads that write there will wait",
			    job->h->t->pid, fd);
}

static int prepare_copy(struct job *job, const struct uffdctl_maps *maps, const struct segments *segs)
{
	uint64_t modes = 0;

	(void)maps;
	if (!job->opts->contents)
		return fail(job->h->t->u, -EINVAL, "%d: copy: no contents given", job->h->t->pid);
	if (job->opts->elsewhere)
		return fail(job->h->t->u, -EINVAL, "%d: copy: has no use for elsewhere", job->h->t->pid);
	for (size_t i = 0; i < segs->nr; i++)
		modes |= segs->segs[i].vma->modes;
	if (modes & UFFDCTL_MODE_WP && !job->contents.ours)
		warn_writers(job);
	return 0;
}

static bool copy_takes_memory(const struct job *job, const struct uffdctl_vma *v)
{
	(void)job, (void)v;
	return true;
}

const struct resolve_op op_copy = {
	.mode = UFFDCTL_MODE_MISSING,
	.marks = UFFDCTL_MODE_RWP,
	.issue = issue_copy,
	.do_chunk = copy_chunk,
	.may_exist = may_exist,
	.prepare = prepare_copy,
	.takes_memory = copy_takes_memory,
	.error_text = copy_error_text,
	.flags = UFFDCTL_ACTION_DRY_RUN | UFFDCTL_ACTION_NO_WAKE | UFFDCTL_ACTION_FORCE | UFFDCTL_ACTION_BY_OFFSET,
	.has_contents = true,
	.makes_pages = true,
};

UFFDCTL_EXPORT int uffdctl_copy(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				const struct uffdctl_action_opts *opts)
{
	return resolve(h, ranges, opts, &op_copy);
}

/* ---- zeropage ---- */

#define TEXT_COPY_ZEROS "copy zeros instead (uffdctl copy --from-zero)"

static int issue_zeropage(const struct chunk *c, struct uffdctl_range range, bool wp, uint64_t *done)
{
	uint64_t mode = c->job->opts->flags & UFFDCTL_ACTION_NO_WAKE ? UFFDIO_ZEROPAGE_MODE_DONTWAKE : 0;

	(void)wp;
	return uffd_zeropage(c->job->h->uffd, range, mode, done);
}

static int zeropage_chunk(struct chunk *c)
{
	return resolve_keeping_marks(c, c->range);
}

static const char *zeropage_objection(const struct job *job, const struct segment *seg)
{
	(void)job;
	if (seg->vma->memory == UFFDCTL_MEMORY_HUGETLB)
		return "the kernel has no zero page for hugetlbfs: " TEXT_COPY_ZEROS;
	if (seg->vma->modes & UFFDCTL_MODE_WP)
		return "registered for wp, and UFFDIO_ZEROPAGE can't write-protect: " TEXT_COPY_ZEROS;
	return NULL;
}

static const char *zeropage_error_text(int err)
{
	return err == -EINVAL ? "refused (EINVAL): this memory has no zero page on this kernel: " TEXT_COPY_ZEROS
			      : NULL;
}

/* A private mapping gets the kernel's shared zero page. */
static bool zeropage_takes_memory(const struct job *job, const struct uffdctl_vma *v)
{
	(void)job;
	return vma_is_shared(v);
}

const struct resolve_op op_zeropage = {
	.mode = UFFDCTL_MODE_MISSING,
	.marks = UFFDCTL_MODE_RWP,
	.issue = issue_zeropage,
	.do_chunk = zeropage_chunk,
	.objection = zeropage_objection,
	.takes_memory = zeropage_takes_memory,
	.error_text = zeropage_error_text,
	.flags = UFFDCTL_ACTION_DRY_RUN | UFFDCTL_ACTION_NO_WAKE | UFFDCTL_ACTION_FORCE,
	.makes_pages = true,
};

UFFDCTL_EXPORT int uffdctl_zeropage(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				    const struct uffdctl_action_opts *opts)
{
	return resolve(h, ranges, opts, &op_zeropage);
}
