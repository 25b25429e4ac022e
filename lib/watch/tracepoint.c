// SPDX-License-Identifier: LGPL-2.1-or-later
/* The backend tracepoint: programs on the tracepoints of userfaultfd, which kernel-patches/ adds. */
#include <errno.h>

#include "lib/kernel/iter.h"
#include "lib/watch/watch.h"

#include "watch_tracepoint.lskel.h"

static int load(struct uffdctl_watch *w, const char **why)
{
	struct watch_tracepoint_bpf *skel = NULL;
	int r = iter_load_skel(watch_tracepoint_bpf, &skel);
	struct iter *it;

	/* Where iterators can be loaded, there is BTF: what is not found in it are the tracepoints. */
	*why = r == -ENOENT && iter_get(w->u, &it) >= 0
		       ? "the kernel has no userfaultfd tracepoints (see kernel-patches/; fentry, kprobe and sched do without)"
		       : NULL;
	if (!skel)
		return r;
	w->skel = skel;
	watch_use_maps(w, skel);
	return 0;
}

static int attach(struct uffdctl_watch *w, const char **why)
{
	*why = NULL;
	return watch_tracepoint_bpf__attach(w->skel);
}

static void unload(struct uffdctl_watch *w)
{
	watch_tracepoint_bpf__destroy(w->skel);
}

const struct watch_backend watch_tracepoint = {
	.name = "tracepoint",
	.load = load,
	.attach = attach,
	.unload = unload,
	.blocked_at_end = true,
};
