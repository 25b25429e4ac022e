// SPDX-License-Identifier: LGPL-2.1-or-later
/* UFFDIO_CONTINUE in bulk, optionally after filling pages. */
#include <errno.h>

#include "lib/drive/fill.h"
#include "lib/drive/ops.h"
#include "lib/drive/pages.h"
#include "lib/drive/resolve.h"
#include "lib/kernel/uffd.h"

static int issue(const struct chunk *c, struct uffdctl_range range, bool wp, uint64_t *done)
{
	unsigned int flags = c->job->opts->flags;
	uint64_t mode = (flags & UFFDCTL_ACTION_NO_WAKE ? UFFDIO_CONTINUE_MODE_DONTWAKE : 0) |
			(flags & UFFDCTL_ACTION_WP || wp ? UFFDIO_CONTINUE_MODE_WP : 0);

	return uffd_continue(c->job->h->uffd, range, mode, done);
}

static int do_chunk(struct chunk *c)
{
	return fill_wanted(c->job) ? fill_chunk(c) : resolve_keeping_marks(c, c->range);
}

static const char *error_text(int err)
{
	switch (err) {
	case -EINVAL:
		return "refused (EINVAL): this memory can't have minor faults, or the kernel can't keep write-protect marks (needs Linux 6.4)";
	case -EPERM:
		return "the file may not be written (sealed?)";
	case -EFAULT:
		return "the process keeps removing the page from its file (MADV_REMOVE, truncation), or the contents can't be read (EFAULT)";
	default:
		return NULL;
	}
}

static const char *objection(const struct job *job, const struct segment *seg)
{
	uint64_t modes = seg->vma->modes;

	if (fill_wanted(job) && !(modes & UFFDCTL_MODE_MINOR))
		return "not registered for minor: the process could touch pages while they are filled";
	if (seg->vma->memory == UFFDCTL_MEMORY_ANON)
		return "anonymous memory has no minor faults: nothing to continue (see uffdctl unregister)";
	if (job->opts->flags & UFFDCTL_ACTION_WP && !(modes & UFFDCTL_MODE_WP))
		return "not registered for wp";
	return NULL;
}

/* Our cgroup is charged for the pages that this makes: they are made through our mapping. */
static bool takes_memory(const struct job *job, const struct uffdctl_vma *v)
{
	(void)v;
	return fill_wanted(job);
}

const struct resolve_op op_continue = {
	.takes_memory = takes_memory,
	.mode = UFFDCTL_MODE_MINOR,
	.marks = UFFDCTL_MODE_WP | UFFDCTL_MODE_RWP,
	.issue = issue,
	.do_chunk = do_chunk,
	.judge = fill_judge,
	.resolve_filled = fill_resolve,
	.prepare = fill_prepare,
	.add_part = fill_add_part,
	.objection = objection,
	.finish = fill_finish,
	.left_written = fill_left_written,
	.error_text = error_text,
	.flags = UFFDCTL_ACTION_DRY_RUN | UFFDCTL_ACTION_NO_WAKE | UFFDCTL_ACTION_WP | UFFDCTL_ACTION_FORCE |
		 UFFDCTL_ACTION_BY_OFFSET,
	.has_contents = true,
};

UFFDCTL_EXPORT int uffdctl_continue(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				    const struct uffdctl_action_opts *opts)
{
	return resolve(h, ranges, opts, &op_continue);
}
