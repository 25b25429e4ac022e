// SPDX-License-Identifier: LGPL-2.1-or-later
/* UFFDIO_COPY and UFFDIO_ZEROPAGE in bulk. */
#include <errno.h>

#include "lib/drive/resolve.h"
#include "lib/inspect/pagecache.h"
#include "lib/kernel/uapi.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"
#include "lib/util.h"

/* ---- copy ---- */

static int act_copy(const struct chunk *c, struct uffdctl_range range, bool wp, uint64_t *done)
{
	uint64_t mode = c->job->opts->flags & UFFDCTL_NO_WAKE ? UFFDIO_COPY_MODE_DONTWAKE : 0;

	(void)wp;
	/*
	 * On a mark that stands there the kernel would put a page without one, and anonymous memory
	 * holds no mark where no page is: that its first write is reported is left to whoever copies.
	 */
	if (c->vma.modes & UFFDCTL_MODE_WP)
		mode |= UFFDIO_COPY_MODE_WP;
	return uffd_copy(c->job->h->uffd, range, c->buf + (range.start - c->held.start), mode, done);
}

static int copy_chunk(struct chunk *c)
{
	uint64_t unit = MAX(FILL_BYTES, page_of(c)), done;
	int r = chunk_buf(c, unit);

	c->held = c->range;
	for (; c->held.start < c->range.end && !c->gone && r >= 0 && !chunk_stopped(c); c->held.start = c->held.end) {
		int err;

		c->held.end = MIN(c->held.start + unit, c->range.end);
		err = contents_read(&c->job->contents, c->part->from + (c->held.start - c->part->seg.range.start),
				    c->buf, range_len(c->held), &done);
		c->held.end = c->held.start + round_down(done, page_of(c));
		r = resolve_range(c, c->held);
		if (err < 0)
			chunk_unreadable(c, err, c->held.end);
	}
	return r;
}

/*
 * Where no huge page is free, hugetlb_mfill_atomic_pte() says EEXIST for a page that is not there: it takes
 * the place of an entry for an entry.
 */
static bool may_exist(struct chunk *c, uint64_t addr)
{
	if (page_of(c) == base_page_size())
		return true;
	/* What a private mapping has is in its page table, or nowhere. */
	return c->vma.perms[3] == 's' && pagecache_has(c->job->h->t, &c->vma, addr) > 0;
}

static const char *copy_error_text(int err)
{
	return err == -EINVAL ? "refused (EINVAL): UFFDIO_COPY can't be had here on this kernel" : NULL;
}

/* As it does where the process has protected pages itself. */
static void warn_writers(const struct job *job)
{
	_cleanup_free_ char *fd = handle_describe(job->h);

	if (!(job->h->features & UFFD_FEATURE_WP_ASYNC) && handle_reader(job->h) == READER_NONE)
		log_warning(job->h->t->u,
			    "%d: ranges registered for wp get write-protected pages, and nobody is seen reading %s: who writes there waits",
			    job->h->t->pid, fd);
}

static int prepare_copy(struct job *job, const struct uffdctl_maps *maps, const struct segments *segs)
{
	uint64_t modes = 0;

	(void)maps;
	if (job->opts->from_fd < 0)
		return fail(job->h->t->u, -EINVAL, "%d: copy: no contents are given", job->h->t->pid);
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

static const struct resolve_op copy_op = {
	.mode = UFFDCTL_MODE_MISSING,
	.marks = UFFDCTL_MODE_RWP,
	.act = act_copy,
	.do_chunk = copy_chunk,
	.end_thread = chunk_free_buf,
	.may_exist = may_exist,
	.prepare = prepare_copy,
	.takes_memory = copy_takes_memory,
	.error_text = copy_error_text,
	.makes_pages = true,
};

UFFDCTL_EXPORT int uffdctl_copy(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				const struct uffdctl_resolve_opts *opts, uffdctl_result_fn fn)
{
	return resolve(h, ranges, opts, &copy_op, fn);
}

/* ---- zeropage ---- */

#define TEXT_COPY_ZEROS "copy zeros instead (uffdctl copy --from-zero)"

static int act_zeropage(const struct chunk *c, struct uffdctl_range range, bool wp, uint64_t *done)
{
	uint64_t mode = c->job->opts->flags & UFFDCTL_NO_WAKE ? UFFDIO_ZEROPAGE_MODE_DONTWAKE : 0;

	(void)wp;
	return uffd_zeropage(c->job->h->uffd, range, mode, done);
}

static int zeropage_chunk(struct chunk *c)
{
	return resolve_range(c, c->range);
}

static const char *zeropage_objection(const struct job *job, const struct segment *seg)
{
	(void)job;
	if (seg->vma->kind == VMA_HUGETLB)
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

/* A private mapping gets the kernel's one zero page. */
static bool zeropage_takes_memory(const struct job *job, const struct uffdctl_vma *v)
{
	(void)job;
	return v->perms[3] == 's';
}

static const struct resolve_op zeropage_op = {
	.mode = UFFDCTL_MODE_MISSING,
	.marks = UFFDCTL_MODE_RWP,
	.act = act_zeropage,
	.do_chunk = zeropage_chunk,
	.objection = zeropage_objection,
	.takes_memory = zeropage_takes_memory,
	.error_text = zeropage_error_text,
	.makes_pages = true,
};

UFFDCTL_EXPORT int uffdctl_zeropage(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				    const struct uffdctl_resolve_opts *opts, uffdctl_result_fn fn)
{
	struct uffdctl_resolve_opts own = *opts;

	own.from_fd = -1;
	return resolve(h, ranges, &own, &zeropage_op, fn);
}
