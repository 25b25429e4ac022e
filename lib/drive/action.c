// SPDX-License-Identifier: LGPL-2.1-or-later
/* The common part of register, unregister and wake: one ioctl and one result for each part of a range. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/drive/action.h"
#include "lib/drive/lock.h"
#include "lib/drive/nbd.h"
#include "lib/log.h"
#include "lib/opts.h"

void action_report(struct action *a, struct uffdctl_result *res, int err, const char *text)
{
	res->error = err;
	res->error_text = err ? text ? text : strerror(-err) : NULL;
	a->failed |= err != 0;
	if (a->opts.result)
		a->opts.result(a->opts.data, res);
}

void action_report_other(struct action *a, const struct segment *seg, struct uffdctl_result *res)
{
	_cleanup_free_ char *text = handle_other_owner(a->h, seg->owner);

	action_report(a, res, -EBUSY, text);
}

bool action_is_ours(const struct uffdctl_vma *v, uint64_t owner, void *arg)
{
	struct action *a = arg;

	return handle_owner(a->h, v, owner) == OWNER_US;
}

int action_resolve(struct action *a, const struct range_spec *spec, struct segments *ret)
{
	int r;

	a->filter.arg = a;
	r = range_resolve(a->h->t, a->maps, spec, &a->filter, ret);
	if (r == -ENOMEM || r == -ESRCH || r == -EINTR)
		return r;
	a->failed |= r < 0;
	return 0;
}

static int run(struct action *a, const struct uffdctl_ranges *ranges)
{
	struct segments segs = {};
	int r = handle_maps(a->h, &a->maps);

	if (r < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < ranges->nr; i++)
		r = action_resolve(a, &ranges->specs[i], &segs);
	if (r >= 0 && segs.nr && a->before)
		r = a->before(a, &segs);
	if (r >= 0 && lock_is_unwanted(a->h))
		r = -EINTR;
	for (size_t i = 0; r >= 0 && i < segs.nr && !a->gone; i++)
		a->each(a, &segs.segs[i]);
	segments_free(&segs);
	uffdctl_maps_free(a->maps);
	return r < 0 ? r : a->failed ? -EIO : 0;
}

OPTS_CHECK(uffdctl_action_opts, from_uri);

int action_opts(struct uffdctl_handle *h, const struct uffdctl_action_opts *opts, uint64_t flags, bool has_contents,
		struct uffdctl_action_opts *ret)
{
	struct uffdctl *u = h->t->u;
	int r = OPTS_GET(u, opts, ret);

	if (r < 0)
		return r;
	if (ret->flags & ~flags)
		return fail(u, -EINVAL, "%d: the action has no such flags: 0x%" PRIx64, h->t->pid, ret->flags & ~flags);
	if (!has_contents && (ret->contents || ret->elsewhere || ret->from_offset))
		return fail(u, -EINVAL, "%d: the action takes no contents", h->t->pid);
	if (ret->contents > UFFDCTL_CONTENTS_URI || ret->elsewhere > UFFDCTL_ELSEWHERE_KEEP)
		return fail(u, -EINVAL, "%d: the action knows no such contents, or no such elsewhere", h->t->pid);
	if (ret->contents == UFFDCTL_CONTENTS_URI && !(ret->from_uri && nbd_is_uri(ret->from_uri)))
		return fail(u, -EINVAL, "%d: the contents: not a URI of NBD", h->t->pid);
	return 0;
}

int action_run(struct action *a, const struct uffdctl_ranges *ranges)
{
	bool dry = a->opts.flags & UFFDCTL_ACTION_DRY_RUN;
	int r = dry ? 0 : lock_take(a->h);

	if (r < 0)
		return r;
	r = run(a, ranges);
	if (!dry)
		lock_release(a->h);
	return r;
}
