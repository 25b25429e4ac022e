// SPDX-License-Identifier: LGPL-2.1-or-later
/* UFFDIO_POISON, UFFDIO_WRITEPROTECT and UFFDIO_RWPROTECT in bulk. */
#include <errno.h>

#include "lib/drive/chunk.h"
#include "lib/drive/ops.h"
#include "lib/drive/pages.h"
#include "lib/drive/resolve.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"

static int do_chunk(struct chunk *c)
{
	resolve_run(c, c->range, false);
	return 0;
}

static bool takes_no_memory(const struct job *job, const struct uffdctl_vma *v)
{
	(void)job, (void)v;
	return false;
}

/* ---- poison ---- */

static int issue_poison(const struct chunk *c, struct uffdctl_range range, bool wp, uint64_t *done)
{
	uint64_t mode = c->job->opts->flags & UFFDCTL_ACTION_NO_WAKE ? UFFDIO_POISON_MODE_DONTWAKE : 0;

	(void)wp;
	return uffd_poison(c->job->h->uffd, range, mode, done);
}

static const char *poison_error_text(int err)
{
	return err == -EINVAL ? "refused (EINVAL): this kernel has no UFFDIO_POISON for this memory (needs Linux 6.6)"
			      : NULL;
}

static const struct resolve_op poison_op = {
	.mode = UFFDCTL_MODE_MISSING | UFFDCTL_MODE_MINOR,
	.issue = issue_poison,
	.do_chunk = do_chunk,
	.takes_memory = takes_no_memory,
	.error_text = poison_error_text,
	.flags = UFFDCTL_ACTION_DRY_RUN | UFFDCTL_ACTION_NO_WAKE,
};

UFFDCTL_EXPORT int uffdctl_poison(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				  const struct uffdctl_action_opts *opts)
{
	return resolve(h, ranges, opts, &poison_op);
}

/* ---- writeprotect, rwprotect ---- */

/* The kernel refuses to mark pages without waking; without marks, it wakes unless it is told not to. */
static uint64_t protect_mode(const struct chunk *c, uint64_t protect, uint64_t dont_wake)
{
	uint64_t flags = c->job->opts->flags;

	if (!(flags & UFFDCTL_ACTION_OFF))
		return protect;
	return flags & UFFDCTL_ACTION_NO_WAKE ? dont_wake : 0;
}

static int issue_writeprotect(const struct chunk *c, struct uffdctl_range range, bool wp, uint64_t *done)
{
	(void)wp;
	return uffd_writeprotect(c->job->h->uffd, range,
				 protect_mode(c, UFFDIO_WRITEPROTECT_MODE_WP, UFFDIO_WRITEPROTECT_MODE_DONTWAKE), done);
}

static int issue_rwprotect(const struct chunk *c, struct uffdctl_range range, bool wp, uint64_t *done)
{
	(void)wp;
	return uffd_rwprotect(c->job->h->uffd, range,
			      protect_mode(c, UFFDIO_RWPROTECT_MODE_RWP, UFFDIO_RWPROTECT_MODE_DONTWAKE), done);
}

static bool marks_any(const struct job *job, const struct segments *segs)
{
	for (size_t i = 0; i < segs->nr; i++)
		if (handle_owner(job->h, segs->segs[i].vma, segs->segs[i].owner) == OWNER_US &&
		    !job->op->objection(job, &segs->segs[i]))
			return true;
	return false;
}

/* With an async feature the kernel itself lets the access go on; otherwise a handler must. */
static void warn_waiters(const struct job *job, const struct segments *segs, uint64_t async, const char *who)
{
	_cleanup_free_ char *fd = handle_describe(job->h);

	if (!(job->opts->flags & UFFDCTL_ACTION_OFF) && !(job->h->features & async) && marks_any(job, segs) &&
	    handle_reader(job->h) == READER_NONE)
		log_warning(job->h->t->u, "%d: no handler was seen reading %s: threads that %s these pages will wait",
			    job->h->t->pid, fd, who);
}

static int refuse_no_wake(const struct job *job)
{
	if ((job->opts->flags & (UFFDCTL_ACTION_NO_WAKE | UFFDCTL_ACTION_OFF)) != UFFDCTL_ACTION_NO_WAKE)
		return 0;
	return fail(job->h->t->u, -EINVAL, "%d: to mark pages wakes nobody: no-wake is for removing marks",
		    job->h->t->pid);
}

static int prepare_writeprotect(struct job *job, const struct uffdctl_maps *maps, const struct segments *segs)
{
	(void)maps;
	warn_waiters(job, segs, UFFD_FEATURE_WP_ASYNC, "write to");
	return refuse_no_wake(job);
}

static int prepare_rwprotect(struct job *job, const struct uffdctl_maps *maps, const struct segments *segs)
{
	(void)maps;
	warn_waiters(job, segs, UFFD_FEATURE_RWP_ASYNC, "read or write");
	return refuse_no_wake(job);
}

static const char *writeprotect_objection(const struct job *job, const struct segment *seg)
{
	(void)job;
	return seg->vma->modes & UFFDCTL_MODE_WP ? NULL : "not registered for wp (see uffdctl register -m wp)";
}

static const char *rwprotect_objection(const struct job *job, const struct segment *seg)
{
	(void)job;
	return seg->vma->modes & UFFDCTL_MODE_RWP ? NULL : "not registered for rwp (see uffdctl register -m rwp)";
}

const struct resolve_op op_writeprotect = {
	.mode = UFFDCTL_MODE_WP,
	.issue = issue_writeprotect,
	.do_chunk = do_chunk,
	.prepare = prepare_writeprotect,
	.objection = writeprotect_objection,
	.takes_memory = takes_no_memory,
	.flags = UFFDCTL_ACTION_DRY_RUN | UFFDCTL_ACTION_NO_WAKE | UFFDCTL_ACTION_OFF,
};

UFFDCTL_EXPORT int uffdctl_writeprotect(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
					const struct uffdctl_action_opts *opts)
{
	return resolve(h, ranges, opts, &op_writeprotect);
}

const struct resolve_op op_rwprotect = {
	.mode = UFFDCTL_MODE_RWP,
	.issue = issue_rwprotect,
	.do_chunk = do_chunk,
	.prepare = prepare_rwprotect,
	.objection = rwprotect_objection,
	.takes_memory = takes_no_memory,
	.flags = UFFDCTL_ACTION_DRY_RUN | UFFDCTL_ACTION_NO_WAKE | UFFDCTL_ACTION_OFF,
};

UFFDCTL_EXPORT int uffdctl_rwprotect(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				     const struct uffdctl_action_opts *opts)
{
	return resolve(h, ranges, opts, &op_rwprotect);
}
