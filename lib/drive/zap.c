// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Dropping page-table entries of shared memory. process_madvise(2) takes no MADV_DONTNEED for other processes, so the
 * process itself is made to call madvise(2).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "lib/drive/handle.h"
#include "lib/drive/inject.h"
#include "lib/drive/lock.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/pagescan.h"
#include "lib/kernel/uapi.h"
#include "lib/log.h"
#include "lib/opts.h"

/* One call, so that it ends soon, and we can be stopped. */
#define STEP_BYTES (UINT64_C(1) << 30)

/* The share of one mapping. */
struct piece {
	struct segment seg;
	uint64_t modes, zapped;
	int err;
	const char *text; /* NULL: that of the errno */
};

struct zapping {
	struct uffdctl_handle *h;
	struct uffdctl_zap_opts opts;
	struct piece *pieces;
	size_t nr;
	struct pagescan *scan; /* NULL: there is no pagemap */
	bool began;	       /* all threads were stopped */
	bool failed;
};

/* ---- what may be zapped ---- */

static bool has_flag(const struct uffdctl_vma *v, const char *flag)
{
	return strstr(v->vm_flags, flag);
}

/* The memory of devices and of the kernel's own objects may not come back by a fault. */
static bool is_file(const struct uffdctl_vma *v)
{
	switch (v->memory) {
	case UFFDCTL_MEMORY_SHMEM:
	case UFFDCTL_MEMORY_HUGETLB:
	case UFFDCTL_MEMORY_GUEST_MEMFD:
		return true;
	default:
		return v->inode && v->name && v->name[0] == '/' && !has_flag(v, "io") && !has_flag(v, "pf") &&
		       !has_flag(v, "mm") && !has_flag(v, "de");
	}
}

/* Why its data would be lost, or the kernel would refuse; NULL: it may be done. */
static const char *objection(const struct uffdctl_vma *v)
{
	if (!vma_is_shared(v))
		return v->inode ? "a private mapping: pages that the process has written would be lost"
				: "private memory: its data would be lost";
	if (v->memory == UFFDCTL_MEMORY_UNKNOWN)
		return "without BPF it is not known what this memory is: run as root";
	if (!v->vm_flags)
		return "its flags are not known on this kernel";
	if (!is_file(v))
		return "the memory of a device or of the kernel: it may not come back";
	if (has_flag(v, "lo"))
		return "locked in memory (mlock): the kernel would refuse (EINVAL) until the process calls munlock";
	return NULL;
}

/*
 * A handler that asks for remove events would take this for a removal of the data; and the call would wait until it has
 * read the event, with all threads stopped.
 */
static bool sends_event(struct uffdctl_handle *h, const struct segment *seg)
{
	const struct uffdctl_list *all = seg->vma->modes ? handle_named(h) : NULL;

	for (size_t i = 0; all && i < all->nr; i++) {
		const struct uffdctl_uffd *d = &all->uffds[i];
		bool owns = all->ids ? all->ids[i] == seg->owner : d->pid == h->t->pid;

		if (owns && d->features != UFFDCTL_UNKNOWN && d->features & UFFD_FEATURE_EVENT_REMOVE)
			return true;
	}
	return seg->vma->modes && !all;
}

static bool is_wanted(const struct uffdctl_vma *v, uint64_t owner, void *arg)
{
	(void)owner, (void)arg;
	return v->modes & UFFDCTL_MODE_MINOR && !objection(v);
}

static int check_segment(struct zapping *z, const struct segment *seg, struct piece *ret)
{
	*ret = (struct piece){ .seg = *seg, .modes = seg->vma->modes, .text = objection(seg->vma) };
	if (!ret->text && sends_event(z->h, seg))
		ret->text =
			"its userfaultfd asks for remove events: its handler would take this for a removal of the data";
	ret->err = ret->text ? -EINVAL : 0;
	return ret->err;
}

/* 0: at least one piece may be zapped. */
static int plan(struct zapping *z, const struct uffdctl_ranges *ranges, const struct uffdctl_maps *maps,
		struct segments *segs)
{
	struct range_filter filter = { .all = is_wanted,
				       .verb = "that can be zapped is registered",
				       .modes = UFFDCTL_MODE_MINOR,
				       .hint = "register memory first with uffdctl register",
				       .glob_registered = true };
	int r = 0;

	for (size_t i = 0; i < ranges->nr; i++) {
		r = range_resolve(z->h->t, maps, &ranges->specs[i], &filter, segs);
		if (r == -ENOMEM || r == -ESRCH || r == -EINTR)
			return r;
		z->failed |= r < 0;
	}
	z->pieces = calloc(segs->nr + 1, sizeof(*z->pieces));
	if (!z->pieces)
		return log_oom(z->h->t->u);
	r = -EIO;
	for (size_t i = 0; i < segs->nr; i++)
		if (check_segment(z, &segs->segs[i], &z->pieces[i]) == 0)
			r = 0;
	z->nr = segs->nr;
	return r;
}

/* For another userfaultfd than the one that we hold, one look must do. */
static bool has_reader(struct zapping *z, uint64_t owner)
{
	struct uffdctl_handle *h = z->h;
	const struct uffdctl_list *all;

	if (owner == h->uffd_id)
		return h->uffd < 0 || handle_reader(h) != READER_NONE;
	all = handle_named(h);
	for (size_t i = 0; all && i < all->nr; i++)
		if (all->ids && all->ids[i] == owner && all->uffds[i].has_reader == 1)
			return true;
	return !all;
}

static void warn_waiters(struct zapping *z)
{
	for (size_t i = 0; i < z->nr; i++) {
		const struct piece *p = &z->pieces[i];

		if (p->err || !(p->modes & UFFDCTL_MODE_MINOR) || has_reader(z, p->seg.owner))
			continue;
		log_warning(z->h->t->u,
			    "%d: no handler was seen reading the userfaultfd: threads that touch these pages will wait until somebody resolves their faults, for example with uffdctl continue",
			    z->h->t->pid);
		return;
	}
}

/* ---- while all threads are stopped ---- */

static bool is_same(const struct uffdctl_vma *v, const struct uffdctl_vma *w)
{
	return vma_is_shared(w) && vma_same_file(v, w) && v->page_size == w->page_size &&
	       v->offset - v->range.start == w->offset - w->range.start && !objection(w);
}

/* Mappings may have been split or joined. */
static bool is_unchanged(const struct segment *seg, const struct uffdctl_maps *now)
{
	uint64_t at = seg->range.start;

	while (at < seg->range.end) {
		const struct uffdctl_vma *w = maps_at(now, at);

		if (!w || !is_same(seg->vma, w))
			return false;
		at = w->range.end;
	}
	return true;
}

static uint64_t count_mapped(struct zapping *z, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	uint64_t bytes = 0;

	if (!z->scan)
		return UFFDCTL_UNKNOWN;
	while (range.start < range.end) {
		if (pagescan_next(z->scan, v, range) < 0)
			return UFFDCTL_UNKNOWN;
		for (size_t i = 0; i < z->scan->nr; i++)
			if (z->scan->runs[i].bits & ENTRY_PRESENT)
				bytes += range_len(z->scan->runs[i].range);
		range.start = z->scan->end;
	}
	return bytes;
}

static bool is_stopped(const struct zapping *z)
{
	return z->opts.stop && z->opts.stop(z->opts.data);
}

static void add(struct piece *p, uint64_t bytes)
{
	p->zapped = bytes == UFFDCTL_UNKNOWN || p->zapped == UFFDCTL_UNKNOWN ? UFFDCTL_UNKNOWN : p->zapped + bytes;
}

static const char *madvise_text(int64_t err)
{
	return err == -EINVAL
		       ? "refused (EINVAL): the kernel does not do this on this memory (hugetlbfs: needs Linux 5.18)"
		       : NULL;
}

/* A negative errno: nothing more can be done. */
static int zap_piece(struct zapping *z, struct inject *in, struct piece *p)
{
	struct uffdctl_range step = p->seg.range;
	int64_t result;
	uint64_t bytes;
	int r;

	for (; step.start < p->seg.range.end; step.start = step.end) {
		step.end = step.start + MIN(p->seg.range.end - step.start, STEP_BYTES);
		if (is_stopped(z))
			return -EINTR;
		bytes = count_mapped(z, p->seg.vma, step);
		r = inject_call(in, SYS_madvise, (const uint64_t[6]){ step.start, range_len(step), MADV_DONTNEED },
				&result);
		if (r < 0)
			return r;
		p->err = (int)result;
		if (result < 0) {
			p->text = madvise_text(result);
			return 0;
		}
		add(p, bytes);
	}
	return 0;
}

static int zap_all(struct inject *in, void *arg)
{
	struct zapping *z = arg;
	struct uffdctl_maps *now;
	int r = handle_maps(z->h, &now);

	z->began = r >= 0;
	for (size_t i = 0; r >= 0 && i < z->nr; i++) {
		struct piece *p = &z->pieces[i];

		if (p->err)
			continue;
		if (is_unchanged(&p->seg, now)) {
			r = zap_piece(z, in, p);
			/* It, or a part of it, was not done. */
			p->err = p->err ?: r;
			continue;
		}
		p->err = -ENOENT;
		p->text = "the mappings of this range changed meanwhile: nothing was done (see uffdctl smaps)";
	}
	if (r >= 0)
		uffdctl_maps_free(now);
	return r;
}

/* ---- all of it ---- */

static void report(struct zapping *z, int err)
{
	bool dry = z->opts.flags & UFFDCTL_ACTION_DRY_RUN;

	for (size_t i = 0; i < z->nr; i++) {
		const struct piece *p = &z->pieces[i];
		struct uffdctl_result res = { .range = p->seg.range,
					      .modes = p->modes,
					      .mapped = dry && !p->err ? UFFDCTL_UNKNOWN : p->zapped,
					      .already = UFFDCTL_UNKNOWN,
					      .absent = UFFDCTL_UNKNOWN,
					      .filled = UFFDCTL_UNKNOWN,
					      .elsewhere = UFFDCTL_UNKNOWN,
					      .error = p->err ?: err };

		if (res.error)
			res.error_text = p->text ?: res.error == -EINTR ? "interrupted" : strerror(-res.error);
		z->failed |= res.error != 0;
		if (z->opts.result)
			z->opts.result(z->opts.data, &res);
	}
}

static int open_scan(struct zapping *z, int *ret_pagemap)
{
	int r = pagemap_open(z->h->t, ret_pagemap);

	if (r < 0)
		return r == -ESRCH ? r : 0;
	z->scan = malloc(sizeof(*z->scan));
	if (!z->scan)
		return log_oom(z->h->t->u);
	pagescan_init(z->scan, *ret_pagemap);
	return 0;
}

static int inject(struct zapping *z)
{
	_cleanup_close_ int pagemap = -1;
	int r = open_scan(z, &pagemap);

	if (r >= 0)
		r = inject_run(z->h->t, zap_all, z);
	free(z->scan);
	z->scan = NULL;
	return r;
}

static int run(struct zapping *z, const struct uffdctl_ranges *ranges)
{
	bool dry = z->opts.flags & UFFDCTL_ACTION_DRY_RUN;
	struct segments segs = {};
	struct uffdctl_maps *maps;
	int r = handle_maps(z->h, &maps);

	if (r < 0)
		return r;
	r = plan(z, ranges, maps, &segs);
	if (r >= 0) {
		warn_waiters(z);
		r = dry ? inject_check(z->h->t) : inject(z);
	}
	/* If it could not even begin, there is a message instead. */
	if (r >= 0 || r == -EIO || z->began)
		report(z, r == -EIO ? 0 : r);
	segments_free(&segs);
	uffdctl_maps_free(maps);
	free(z->pieces);
	return r < 0 ? r : z->failed ? -EIO : 0;
}

static int lock_and_run(struct zapping *z, const struct uffdctl_ranges *ranges)
{
	struct uffdctl_handle *h = z->h;
	int r;

	if (z->opts.flags & UFFDCTL_ACTION_DRY_RUN)
		return run(z, ranges);
	r = h->uffd < 0 ? 0 : lock_take(h);
	if (r < 0)
		return r;
	r = run(z, ranges);
	if (h->uffd >= 0)
		lock_release(h);
	return r;
}

OPTS_CHECK(uffdctl_zap_opts, wait_lock_ns);

UFFDCTL_EXPORT int uffdctl_zap(struct uffdctl_target *t, const struct uffdctl_ranges *ranges,
			       const struct uffdctl_zap_opts *opts)
{
	struct zapping z = {};
	int r = OPTS_GET(t->u, opts, &z.opts);

	if (r < 0)
		return r;
	if (z.opts.flags & ~(uint64_t)UFFDCTL_ACTION_DRY_RUN)
		return fail(t->u, -EINVAL, "%d: zap has no such flags: 0x%" PRIx64, t->pid, z.opts.flags);
	r = handle_open_bare(t, &z.h);
	if (r < 0)
		return r;
	uffdctl_handle_wait_lock(z.h, z.opts.wait_lock_ns, z.opts.stop, z.opts.data);
	r = handle_take_any(z.h, 0);
	if (r >= 0)
		r = lock_and_run(&z, ranges);
	uffdctl_handle_close(z.h);
	return r;
}
