// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults by the tracepoints of userfaultfd (kernel-patches/).
 *
 * The thread that faults says when it begins and ends. Between these two its message is read and
 * it is woken, each under the lock of its queue: there no program is left out, and what was left
 * out before can be made up for.
 */
#define GET(p, field) ((p)->field)
#define MAY_SKIP true
#include "watch_fault.h"

/* enum uffd_fault_end of the kernel; the others are seen by who wakes. */
#define END_SIGNAL 2
#define END_NOT_WAITED 3

/* The message is the packed struct of the user: field by field it would be read byte by byte. */
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

SEC("tp_btf/uffd_fault_end")
int ends(__u64 *args)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct uffd_msg *msg = (void *)args[1];
	__u32 why = args[2];
	struct ev_slot *s;

	if (why < END_SIGNAL)
		return 0;
	s = waiting_slot(task, uwq_of_msg(msg), true);
	if (s)
		fault_ended(s, why == END_SIGNAL ? EV_SIGNAL : EV_NOT_WAITED, has_slept(s, task));
	return 0;
}

SEC("tp_btf/uffd_fault_woken")
int wakes(__u64 *args)
{
	struct userfaultfd_ctx *ctx = (void *)args[0];
	const struct uffd_msg *msg = (void *)args[1];
	struct task_struct *task = (void *)args[2];
	struct ev_slot *s = waiting_slot(task, uwq_of_msg(msg), true);
	struct ev_stats *st = own_stats();

	if (s && st)
		woken(st, s, task, ctx->released);
	return 0;
}

/* Woken before it slept, a thread leaves its message in the queue for a moment: it is counted already. */
static bool is_woken(struct userfaultfd_ctx *ctx, const struct uffd_msg *msg)
{
	return READ(struct userfaultfd_wait_queue, uwq_of_msg(msg), waken) && is_wanted((__u64)ctx->mm) &&
	       is_chosen(flags_of(msg), address_of(msg));
}

SEC("tp_btf/uffd_msg_read")
int reads(__u64 *args)
{
	struct userfaultfd_ctx *ctx = (void *)args[0];
	const struct uffd_msg *msg = (void *)args[1];
	struct task_struct *task = (void *)args[2];
	struct ev_stats *st = own_stats();
	struct ev_slot *s;

	/* Of an event nobody waits in these queues: then the task is NULL, which the verifier may not know. */
	if (!st || msg->event != UFFD_EVENT_PAGEFAULT || !task)
		return 0;
	s = waiting_slot(task, uwq_of_msg(msg), false);
	if (s)
		delivered(st, s, config.stream ? bpf_ktime_get_ns() : 1);
	else if (is_woken(ctx, msg))
		ADD(st->delivered, 1);
	return 0;
}

/* Last: programs are attached in this order, and what begins must be seen to end. */
SEC("tp_btf/uffd_fault_begin")
int begins(__u64 *args)
{
	const struct uffd_msg *msg = (void *)args[2];

	fault_queued((void *)args[0], flags_of(msg), address_of(msg));
	return 0;
}
