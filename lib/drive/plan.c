// SPDX-License-Identifier: LGPL-2.1-or-later
/* Looks up the ranges in the target: the parts of a job, checked before anything is done. */
#include <errno.h>
#include <string.h>

#include "lib/drive/action.h"
#include "lib/drive/chunk.h"
#include "lib/drive/governs.h"
#include "lib/drive/plan.h"
#include "lib/kernel/pagemap.h"
#include "lib/log.h"

/* ---- which mappings ---- */

/* "all" takes only mappings that can have such faults. */
static bool is_wanted(const struct uffdctl_vma *v, uint64_t owner, void *arg)
{
	struct job *job = arg;

	return v->modes & job->op->mode && handle_owner(job->h, v, owner) == OWNER_US;
}

static void add_bytes(const struct job *job, const struct segment *s, struct plan *plan)
{
	plan->bytes += range_len(s->range);
	plan->contents = job->opts->flags & UFFDCTL_ACTION_BY_OFFSET
				 ? MAX(plan->contents, vma_offset(s->vma, s->range.end))
				 : plan->bytes;
}

int plan_make(struct job *job, const struct uffdctl_ranges *ranges, struct plan *ret, bool *failed)
{
	struct range_filter filter = {
		.all = is_wanted,
		.arg = job,
		.verb = ACTION_IS_OURS,
		.modes = job->op->mode,
		.hint = "register memory first with uffdctl register",
		.glob_registered = true,
	};
	int r = handle_maps(job->h, &ret->maps);

	for (size_t i = 0; r >= 0 && i < ranges->nr; i++) {
		int err = range_resolve(job->h->t, ret->maps, &ranges->specs[i], &filter, &ret->segs);

		*failed |= err < 0;
		/*
		 * Contents are used in sequence: if one range were left out, the contents of the rest would be wrong.
		 */
		if (err == -ENOMEM || err == -ESRCH || err == -EINTR || (err < 0 && job->opts->contents))
			r = err;
	}
	for (size_t i = 0; i < ret->segs.nr; i++)
		add_bytes(job, &ret->segs.segs[i], ret);
	if (r >= 0)
		r = governs_check(job->h, &ret->segs, false);
	return r >= 0 && job->op->prepare ? job->op->prepare(job, ret->maps, &ret->segs) : r;
}

void plan_free(struct plan *plan)
{
	segments_free(&plan->segs);
	uffdctl_maps_free(plan->maps);
}

bool plan_is_same(struct job *job, const struct plan *a, const struct plan *b)
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

/* ---- the parts ---- */

/* NULL: the action may be done on the part. */
static char *objection(struct job *job, const struct segment *seg, int *ret_err)
{
	const char *text;

	switch (handle_owner(job->h, seg->vma, seg->owner)) {
	case OWNER_NONE:
		*ret_err = -ENOENT;
		return strdup("not registered on a userfaultfd (see uffdctl register)");
	case OWNER_OTHER:
		*ret_err = -EBUSY;
		return handle_other_owner(job->h, seg->owner);
	case OWNER_US:
		break;
	}
	if (job->opts->flags & UFFDCTL_ACTION_BY_OFFSET && !seg->vma->inode)
		text = "anonymous memory has no offset in a file: --by-offset can't be used for it";
	else
		text = job->op->objection ? job->op->objection(job, seg) : NULL;
	*ret_err = text ? -EINVAL : 0;
	return text ? strdup(text) : NULL;
}

/* Needed if marks must be kept or pages are filled; otherwise it only shows why a page could not be resolved. */
int plan_open_pagemap(struct job *job, const struct plan *plan)
{
	bool needed = job->needs_pagemap;
	int r = pagemap_open(job->h->t, &job->pagemap);

	for (size_t i = 0; i < plan->segs.nr; i++)
		needed |= plan->segs.segs[i].vma->modes & job->op->marks;
	if (r < 0 && r != -ESRCH && needed)
		return fail(job->h->t->u, r,
			    "%d: /proc/%d/pagemap: %s (needs CAP_DAC_READ_SEARCH for another user's process)",
			    job->h->t->pid, job->h->t->pid, strerror(-r));
	return r == -ESRCH ? r : 0;
}

/* A refused part is added too, so that all parts are reported in order. */
int plan_add_parts(struct job *job, const struct plan *plan)
{
	const struct segments *segs = &plan->segs;
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
		if (job->opts->flags & UFFDCTL_ACTION_BY_OFFSET)
			p->from = part_offset(p, p->seg.range.start);
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
