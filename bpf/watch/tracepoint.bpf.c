// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults by the tracepoints of userfaultfd (kernel-patches/, second version).
 *
 * The faulting thread reports the beginning and the end. In between, its message is read and it is woken, each under
 * the lock of its queue. There no program is skipped, except with PREEMPT_RT, and a beginning that was skipped can be
 * made up for.
 */
#include <linux/errno.h>

#define GET(p, field) ((p)->field)
#include "bpf/watch/fault.h"
#include "bpf/watch/failures.h"

char _license[] SEC("license") = "GPL";

/* The message is a packed struct of the uapi: its fields would be read byte by byte. */
static __u64 flags_of(const struct uffd_msg *msg)
{
	return ((const __u64 *)msg)[1];
}

static __u64 address_of(const struct uffd_msg *msg)
{
	return ((const __u64 *)msg)[2];
}

static const void *uwq_of_msg(const struct uffd_msg *msg)
{
	return (const void *)msg - bpf_core_field_offset(struct userfaultfd_wait_queue, msg);
}

/*
 * Its thread was woken before it slept and is about to leave the queue: it is counted already. Or its beginning was
 * not seen: it will be counted, unless there was no room.
 */
static void read_apart(struct ev_slot *s, struct task_struct *task, struct userfaultfd_ctx *ctx,
		       const struct uffd_msg *msg)
{
	if (!all_seen || !is_wanted((__u64)ctx->mm) || !is_chosen(flags_of(msg), address_of(msg)))
		return;
	if (s || (!no_room && take_place((__u64)task)))
		ADD(own_stats()->delivered, 1);
}

/* This program comes first: the first version of the patches has no such event, so nothing of it is loaded. */
SEC("tp_btf/uffd_fault_read")
int BPF_PROG(reads, struct userfaultfd_ctx *uffd, const struct vm_fault *vmf, const struct uffd_msg *msg,
	     struct task_struct *task)
{
	struct ev_slot *s = slot_of(task, false);

	if (is_waiting(s))
		delivered(own_stats(), s, bpf_ktime_get_ns(), true);
	else if (!s || !waited_before(s))
		read_apart(s, task, uffd, msg);
	return 0;
}

static enum ev_end end_of(__u32 why)
{
	switch (why) {
	case UFFD_END_WOKEN:
		return EV_WOKEN;
	case UFFD_END_RELEASED:
		return EV_RELEASED;
	case UFFD_END_SIGNAL:
	case UFFD_END_SPURIOUS:
		return EV_SIGNAL;
	default:
		return EV_NOT_WAITED;
	}
}

SEC("tp_btf/uffd_fault_end")
int BPF_PROG(ends, struct userfaultfd_ctx *uffd, const struct vm_fault *vmf, const struct uffd_msg *msg,
	     unsigned int why)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ev_slot *s = slot_of(task, false);

	if (went_on(s, task))
		return 0;
	if (s && waited_before(s)) {
		s->word = EV_IDLE;
		return 0;
	}
	/*
	 * Usually the waker has counted it; with PREEMPT_RT its program may have been skipped, and the slot still
	 * waits.
	 */
	if (why == UFFD_END_WOKEN && (!s || s->word == EV_IDLE))
		return 0;
	s = ending_slot(s, task, uwq_of_msg(msg));
	if (s)
		fault_ended(s, end_of(why), has_slept(s, task->nvcsw));
	return 0;
}

SEC("tp_btf/uffd_fault_woken")
int BPF_PROG(wakes, struct userfaultfd_ctx *uffd, const struct vm_fault *vmf, const struct uffd_msg *msg,
	     struct task_struct *task)
{
	struct ev_slot *s = ending_slot(slot_of(task, false), task, uwq_of_msg(msg));

	if (s)
		woken(own_stats(), s, task->nvcsw, uffd->released);
	return 0;
}

/* ---- ioctls that fail ---- */

SEC("tp_btf/uffd_range_op")
int BPF_PROG(range_op, struct userfaultfd_ctx *uffd, unsigned int nr, unsigned long start, unsigned long len,
	     unsigned long src, unsigned long mode, long result)
{
	/* If a part was done, the caller gets EAGAIN. */
	if (result < 0 || (unsigned long)result < len)
		op_fails(uffd, nr, result < 0 ? result : -EAGAIN);
	return 0;
}

/*
 * This program comes last: programs are attached in this order, and the end of each fault that is seen to begin must
 * be seen, too.
 */
SEC("tp_btf/uffd_fault_begin")
int BPF_PROG(begins, struct userfaultfd_ctx *uffd, const struct vm_fault *vmf, const struct uffd_msg *msg)
{
	fault_queued(bpf_get_current_task_btf(), uffd, flags_of(msg), address_of(msg));
	return 0;
}
