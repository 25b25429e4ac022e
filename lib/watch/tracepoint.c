// SPDX-License-Identifier: LGPL-2.1-or-later
/* The backend tracepoint: programs on the tracepoints of userfaultfd, which kernel-patches/ adds. */
#include <errno.h>
#include <unistd.h>

#include "lib/kernel/iter.h"
#include "lib/watch/watch.h"

#include "watch_tracepoint.lskel.h"

/* The first version of the patches: its events have other names and arguments. */
static bool has_first_version(void)
{
	return access("/sys/kernel/tracing/events/userfaultfd/uffd_msg_read", F_OK) == 0 ||
	       access("/sys/kernel/debug/tracing/events/userfaultfd/uffd_msg_read", F_OK) == 0;
}

static int probe(struct uffdctl_watch *w, const char **why)
{
	struct iter *it;
	int r = watch_load(w, watch_tracepoint_bpf);

	/* The iterators could be loaded, so there is BTF: only the tracepoints are missing. */
	if (r == -ENOENT && iter_get(w->u, &it) >= 0)
		*why = has_first_version()
			       ? "the kernel has the userfaultfd tracepoints of the first version of "
				 "kernel-patches/: apply the present version, or use fentry, kprobe or sched"
			       : "the kernel has no userfaultfd tracepoints (see kernel-patches/; fentry, "
				 "kprobe and sched do not need them)";
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
