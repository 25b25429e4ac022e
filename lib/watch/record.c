// SPDX-License-Identifier: LGPL-2.1-or-later
/* Records of faults, made readable. */
#include <errno.h>
#include <string.h>

#include "lib/inspect/maps.h"
#include "lib/kernel/uapi.h"
#include "lib/util.h"
#include "lib/watch/watch.h"

_Static_assert(EV_WOKEN == (int)UFFDCTL_END_WOKEN && EV_SIGNAL == (int)UFFDCTL_END_SIGNAL &&
		       EV_RELEASED == (int)UFFDCTL_END_RELEASED && EV_NOT_WAITED == (int)UFFDCTL_END_NOT_WAITED,
	       "ends are in the same order");
_Static_assert(UFFDCTL_KIND_MISSING + (int)EV_RWP == (int)UFFDCTL_KIND_RWP, "kinds are in the same order");

#define MAX_HANDED 1024 /* in one call */

/* Clocks of two CPUs may differ a little. */
static uint64_t time_between(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

int watch_hand_out(void *arg, void *data, size_t size)
{
	struct uffdctl_watch *w = arg;
	const struct ev_fault *ev = data;
	char label[UFFDCTL_LABEL_BYTES];
	struct watch_memory *m = watch_memory(w, ev);
	const struct uffdctl_vma *v = m ? watch_mapping(w, m, ev->addr, ev->end_ns) : NULL;
	struct uffdctl_fault f = {
		.start_ns = ev->start_ns,
		.wait_ns = ev->unmeasured ? UFFDCTL_UNKNOWN : time_between(ev->start_ns, ev->end_ns),
		.queue_ns = !ev->read_ns || ev->unmeasured ? UFFDCTL_UNKNOWN : time_between(ev->start_ns, ev->read_ns),
		.addr = ev->addr,
		.ip = ev->ip ?: UFFDCTL_UNKNOWN,
		.pid = ev->pid,
		.tid = ev->tid,
		.target_pid = m ? m->pid : 0,
		.resolver_pid = ev->resolver_pid,
		.resolver_tid = ev->resolver_tid,
		.reader_pid = ev->reader_pid,
		.reader_tid = ev->reader_tid,
		.kind = UFFDCTL_KIND_MISSING + ev->kind % EV_NR_KINDS,
		.access = ev->flags & UFFD_PAGEFAULT_FLAG_WRITE ? UFFDCTL_ACCESS_WRITE : UFFDCTL_ACCESS_READ,
		.end = ev->end,
		.op = ev->op == EV_OP_NONE ? NULL : uffdctl_ioctl_name(ev->op),
		.name = v ? uffdctl_vma_label(v, label) : NULL,
		.offset = v ? vma_offset(v, ev->addr) : UFFDCTL_UNKNOWN,
	};

	(void)size;
	memcpy(f.comm, ev->comm, sizeof(f.comm) - 1);
	/* Without one, the slot has the name of an earlier one. */
	if (ev->resolver_pid)
		memcpy(f.resolver_comm, ev->resolver_comm, sizeof(f.resolver_comm) - 1);
	if (ev->reader_pid)
		memcpy(f.reader_comm, ev->reader_comm, sizeof(f.reader_comm) - 1);
	w->fn(w->data, &f);
	/* Limit the work of one call: faults may come faster than the caller handles them. */
	return ++w->nr_handed % MAX_HANDED ? 0 : -ECANCELED;
}
