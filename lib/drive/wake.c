// SPDX-License-Identifier: LGPL-2.1-or-later
/* Waking the waiters in ranges. */
#include <errno.h>

#include "lib/drive/action.h"
#include "lib/drive/lock.h"
#include "lib/kernel/uffd.h"

static struct uffdctl_result result_of(struct uffdctl_range range)
{
	return (struct uffdctl_result){
		.range = range,
		.mapped = UFFDCTL_UNKNOWN,
		.already = UFFDCTL_UNKNOWN,
		.absent = UFFDCTL_UNKNOWN,
		.filled = UFFDCTL_UNKNOWN,
		.elsewhere = UFFDCTL_UNKNOWN,
	};
}

static void wake(struct action *a, struct uffdctl_range range)
{
	struct uffdctl_result res = result_of(range);

	action_report(a, &res, a->opts.flags & UFFDCTL_ACTION_DRY_RUN ? 0 : uffd_wake(a->h->uffd, range), NULL);
}

static void wake_segment(struct action *a, const struct segment *seg)
{
	struct uffdctl_result res = result_of(seg->range);

	if (handle_owner(a->h, seg->vma, seg->owner) == OWNER_OTHER)
		action_report_other(a, seg, &res);
	else
		wake(a, seg->range);
}

/* Addresses need not be mapped: threads may still wait where a mapping was. */
static void wake_addresses(struct action *a, const struct range_spec *spec)
{
	struct uffdctl_range range = range_addresses(a->maps, spec);

	for (size_t i = maps_find(a->maps, range.start); i < a->maps->nr && a->maps->vmas[i].range.start < range.end;
	     i++) {
		struct segment seg = { range, &a->maps->vmas[i], maps_owner(a->maps, i), spec };

		if (handle_owner(a->h, seg.vma, seg.owner) == OWNER_OTHER) {
			wake_segment(a, &seg);
			return;
		}
	}
	wake(a, range);
}

static bool is_address(const struct range_spec *spec)
{
	return spec->kind == RANGE_ADDRESS || spec->kind == RANGE_PAGE;
}

/* @segs: of all other ranges, in their order */
static void wake_all(struct action *a, const struct uffdctl_ranges *ranges, const struct segments *segs)
{
	size_t next = 0;

	for (size_t i = 0; i < ranges->nr; i++) {
		if (is_address(&ranges->specs[i]))
			wake_addresses(a, &ranges->specs[i]);
		for (; next < segs->nr && segs->segs[next].spec == &ranges->specs[i]; next++)
			wake_segment(a, &segs->segs[next]);
	}
}

/* Look up all ranges first: when this is interrupted, nothing was done. */
static int run(struct action *a, const struct uffdctl_ranges *ranges)
{
	struct segments segs = {};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ranges->nr; i++)
		if (!is_address(&ranges->specs[i]))
			r = action_resolve(a, &ranges->specs[i], &segs);
	if (r >= 0 && lock_is_unwanted(a->h))
		r = -EINTR;
	if (r >= 0)
		wake_all(a, ranges, &segs);
	segments_free(&segs);
	return r;
}

UFFDCTL_EXPORT int uffdctl_wake(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
				const struct uffdctl_action_opts *opts)
{
	struct action a = {
		.h = h,
		.filter = { .all = action_is_ours, .verb = ACTION_IS_OURS, .glob_registered = true },
	};
	int r = action_opts(h, opts, UFFDCTL_ACTION_DRY_RUN, false, &a.opts);

	if (r >= 0)
		r = handle_maps(h, &a.maps);
	if (r < 0)
		return r;
	r = run(&a, ranges);
	uffdctl_maps_free(a.maps);
	return r < 0 ? r : a.failed ? -EIO : 0;
}
