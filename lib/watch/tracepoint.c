// SPDX-License-Identifier: LGPL-2.1-or-later
/* The backend tracepoint: programs on the tracepoints of userfaultfd, which kernel-patches/ adds. */
#include <errno.h>

#include "lib/kernel/iter.h"
#include "lib/watch/watch.h"

#include "watch_tracepoint.lskel.h"

static int probe(struct uffdctl_watch *w, const char **why)
{
	struct iter *it;
	int r = watch_load(w, watch_tracepoint_bpf);

	/* The iterators could be loaded, so there is BTF: only the tracepoints are missing. */
	if (r == -ENOENT && iter_get(w->u, &it) >= 0)
		*why = "the kernel has no userfaultfd tracepoints (see kernel-patches/; fentry, kprobe and sched do not need them)";
	return r;
}

static int attach(struct uffdctl_watch *w, const char **why)
{
	(void)why;
	return watch_tracepoint_bpf__attach(w->skel);
}

static void unload(struct uffdctl_watch *w)
{
	watch_tracepoint_bpf__destroy(w->skel);
}

const struct watch_backend watch_tracepoint = {
	.name = "tracepoint",
	.flags = WATCH_STEPS | WATCH_FAILURES,
	.probe = probe,
	.open = attach,
	.close = unload,
};
