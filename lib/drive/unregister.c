// SPDX-License-Identifier: LGPL-2.1-or-later
/* Unregistering ranges. */
#include <errno.h>

#include "lib/drive/action.h"
#include "lib/drive/governs.h"
#include "lib/kernel/uffd.h"

static void unregister_segment(struct action *a, const struct segment *seg)
{
	struct uffdctl_result res = { .range = seg->range, .modes = seg->vma->modes };
	int r = 0;

	switch (handle_owner(a->h, seg->vma, seg->owner)) {
	case OWNER_NONE:
		action_report(a, &res, -ENOENT, "not registered on a userfaultfd (see uffdctl smaps)");
		return;
	case OWNER_OTHER:
		action_report_other(a, seg, &res);
		return;
	case OWNER_US:
		break;
	}
	if (!(a->opts.flags & UFFDCTL_ACTION_DRY_RUN)) {
		r = uffd_unregister(a->h->uffd, seg->range);
		/* The kernel wakes only threads that wait for missing pages. */
		if (r >= 0)
			r = uffd_wake(a->h->uffd, seg->range);
	}
	action_report(a, &res, r, r == -ENOMEM || r == -ESRCH ? "the process's memory is gone" : NULL);
}

static int before_unregister(struct action *a, const struct segments *segs)
{
	return governs_check(a->h, segs, false);
}

UFFDCTL_EXPORT int uffdctl_unregister(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				      const struct uffdctl_action_opts *opts)
{
	struct action a = {
		.h = h,
		.filter = { .all = action_is_ours, .verb = ACTION_IS_OURS, .glob_registered = true },
		.before = before_unregister,
		.each = unregister_segment,
	};
	int r = action_opts(h, opts, UFFDCTL_ACTION_DRY_RUN, false, &a.opts);

	return r < 0 ? r : action_run(&a, ranges);
}
