// SPDX-License-Identifier: LGPL-2.1-or-later
/* Is there a userfaultfd that governs memory that is watched? */
#include "lib/kernel/iter.h"
#include "lib/util.h"
#include "lib/watch/watch.h"

/* All descriptors of the machine may have to be looked at: that takes at most a hundredth of the time. */
#define INTERVAL_NS UINT64_C(1000000000)
#define INTERVAL_LOOKS 100

static int find_governing(const void *arg_ev, void *arg)
{
	const struct ev_file *ev = arg_ev;
	struct uffdctl_watch *w = arg;

	if (!ev->mm || !watch_is_wanted(w, ev->mm))
		return 0;
	w->governed.holder = ev->pid;
	return 1;
}

static int look(struct uffdctl_watch *w)
{
	struct iter *it;
	int r = iter_get(w->u, &it);

	if (r < 0)
		return r;
	/* It is most likely where it was. */
	if (w->governed.holder && iter_files(it, w->governed.holder, find_governing, NULL, w) == 1)
		return 1;
	return iter_files(it, 0, find_governing, NULL, w);
}

UFFDCTL_EXPORT int uffdctl_watch_governed(struct uffdctl_watch *w)
{
	uint64_t began = now_ns(CLOCK_MONOTONIC), now;
	bool were_none = w->governed.none;
	int r;

	if (began < w->governed.next_ns)
		return w->governed.last;
	r = look(w);
	now = now_ns(CLOCK_MONOTONIC);
	w->governed.next_ns = now + MAX(INTERVAL_NS, INTERVAL_LOOKS * (now - began));
	w->governed.none = r == 0;
	/* While a descriptor is in flight over a socket, nobody holds it: it is gone if it is missing twice. */
	if (r != 0 || were_none || !w->governed.holder)
		w->governed.last = r;
	return w->governed.last;
}
