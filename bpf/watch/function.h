/* SPDX-License-Identifier: GPL-2.0-only */
/* A fault seen by programs on the functions of userfaultfd, which show less than tracepoints do. */
#ifndef UFFDCTL_BPF_WATCH_FUNCTION_H
#define UFFDCTL_BPF_WATCH_FUNCTION_H

#include "bpf/watch/delivery.h"
#include "bpf/watch/fault.h"

/*
 * Repeats the checks of handle_userfault() before it queues a message. The result of handle_userfault() decides in
 * the end.
 */
static __always_inline bool will_queue(struct userfaultfd_ctx *ctx, __u32 features, struct task_struct *task,
				       __u32 flags)
{
	if (!(flags & FAULT_FLAG_ALLOW_RETRY) || flags & FAULT_FLAG_RETRY_NOWAIT)
		return false;
	if (features & UFFD_FEATURE_SIGBUS || GET(ctx, released))
		return false;
	if (!(flags & FAULT_FLAG_USER) && GET(ctx, flags) & UFFD_USER_MODE_ONLY)
		return false;
	return !(task->flags & (PF_EXITING | PF_DUMPCORE));
}

static __u64 message_flags(__u32 fault_flags, __u64 reason)
{
	return (fault_flags & FAULT_FLAG_WRITE ? UFFD_PAGEFAULT_FLAG_WRITE : 0) |
	       (reason & VM_UFFD_WP ? UFFD_PAGEFAULT_FLAG_WP : 0) |
	       (reason & config.vm_minor ? UFFD_PAGEFAULT_FLAG_MINOR : 0) |
	       (reason & config.vm_rwp ? UFFD_PAGEFAULT_FLAG_RWP : 0);
}

static __always_inline __u64 message_address(struct vm_fault *vmf, __u32 features)
{
	return features & UFFD_FEATURE_EXACT_ADDRESS ? GET(vmf, real_address) : GET(vmf, address);
}

static __always_inline void fault_begins(struct vm_fault *vmf, __u64 reason)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma = GET(vmf, vma);
	struct userfaultfd_ctx *ctx = GET(vma, vm_userfaultfd_ctx.ctx);
	__u32 flags = GET(vmf, flags), features;

	if (!ctx)
		return;
	features = GET(ctx, features);
	if (will_queue(ctx, features, task, flags))
		fault_queued(task, ctx, message_flags(flags, reason), message_address(vmf, features));
}

/*
 * A pending signal keeps the thread from sleeping. Read the signal sets, since the number of TIF_SIGPENDING differs
 * between kernels.
 */
static bool has_signal(struct task_struct *task)
{
	return (task->pending.signal.sig[0] | task->signal->shared_pending.signal.sig[0]) & ~task->blocked.sig[0];
}

/*
 * handle_userfault() has returned, and nobody saw its beginning (see start_unseen) or woke the thread. Its mapping may
 * be gone by now: its userfaultfd is believed only if it governs the memory of the thread.
 */
static __always_inline void unseen_ends(struct ev_slot *s, struct task_struct *task, struct vm_fault *vmf, __u64 reason)
{
	struct vm_area_struct *vma = GET(vmf, vma);
	struct userfaultfd_ctx *ctx = GET(vma, vm_userfaultfd_ctx.ctx);
	__u64 mm = (__u64)task->mm, flags = message_flags(GET(vmf, flags), reason), addr;
	__u32 features;

	if (!ctx || !mm || (__u64)GET(ctx, mm) != mm)
		return;
	features = GET(ctx, features);
	if (!will_queue(ctx, features, task, GET(vmf, flags)))
		return;
	addr = message_address(vmf, features);
	if (!is_chosen(flags, addr))
		return;
	if (!s && !no_room)
		s = take_place((__u64)task);
	if (!s)
		return;
	s->f.ip = 0;
	set_nobody(&s->f);
	start(s, ctx, mm, flags, addr, true);
	set_thread(&s->f, task);
	fault_ended(s, has_signal(task) ? EV_SIGNAL : EV_NOT_WAITED, false);
}

/* handle_userfault() has returned, and the thread was not woken by an ioctl. */
static void fault_ends(struct ev_slot *s, struct task_struct *task, __u32 ret)
{
	bool slept;

	if (ret & VM_FAULT_RETRY) {
		slept = has_slept(s, task->nvcsw);
		fault_ended(s, slept || has_signal(task) ? EV_SIGNAL : EV_NOT_WAITED, slept);
		return;
	}
	/* No message was queued, although will_queue() expected one. */
	wait_ends(s);
	release(s, EV_IDLE);
	ADD(own_stats()->faults[KIND(s->f.kind)], -1);
}

static __always_inline bool is_in(const void *key, __u64 addr)
{
	__u64 start = READ(struct userfaultfd_wake_range, key, start);
	__u64 len = READ(struct userfaultfd_wake_range, key, len);

	return !len || (start <= addr && addr < start + len);
}

/* The slot of the thread with this entry does not have its fault. Returns the slot, if the fault must be counted. */
static __noinline struct ev_slot *unseen_slot(struct ev_slot *s, struct userfaultfd_wait_queue *uwq, const void *key)
{
	if (!is_in(key, BPF_CORE_READ(uwq, msg.arg.pagefault.address)))
		return NULL;
	return ending_slot(s, BPF_CORE_READ(uwq, wq.private), uwq);
}

/*
 * userfaultfd_wake_function() decides whether to wake this struct wait_queue_entry. The includer defines
 * FIRST_ARGUMENT(ctx): its address as a number.
 */
static __always_inline void fault_woken(void *ctx, struct wait_queue_entry *wq, const void *key)
{
	void *task = GET(wq, private);
	struct ev_slot *s = slot_of(task, false);
	struct ev_stats *st = own_stats();

	if (!is_waiting(s))
		s = unseen_slot(s, uwq_of_wait(FIRST_ARGUMENT(ctx)), key);
	else if (!is_in(key, s->f.addr))
		return;
	if (!s)
		return;
	/* It was read by a call that had begun before watching, or for which there was no kretprobe instance. */
	if (!s->f.read_ns && is_read(s->f.ctx, (__u64)uwq_of_wait(FIRST_ARGUMENT(ctx))))
		delivered(st, s, bpf_ktime_get_ns(), false);
	woken(st, s, READ(struct task_struct, (void *)s->task, nvcsw), false);
}

/* Its message was read. True: this was known before. */
static __always_inline bool deliver(struct delivery *d, struct userfaultfd_wait_queue *uwq)
{
	struct ev_slot *s = slot_of(READ(struct userfaultfd_wait_queue, uwq, wq.private), false);

	if (!s || waited_before(s))
		return s;
	if (!is_waiting(s))
		return false;
	if (s->f.read_ns)
		return true;
	delivered(own_stats(), s, delivery_time(d), d->by_us);
	return false;
}

static long deliver_next(__u32 i, struct delivery *d)
{
	struct userfaultfd_wait_queue *uwq = NULL;

	/* A fault that is not marked in time is marked when its thread is woken. */
	if (!delivery_step(d, true, &uwq))
		return 1;
	return uwq && delivery_ends(d, deliver(d, uwq));
}

static __always_inline void deliver_read(struct file *file, __u32 nr_read, __u32 nr_most, bool by_us)
{
	struct userfaultfd_ctx *ctx = GET(file, private_data);
	struct list_head *head, *newest;

	if (!ctx || !nr_taken)
		return;
	head = queue_of(ctx, fault_wqh);
	newest = READ(struct list_head, head, next);
	if (newest == head)
		return;
	/* It is the only one. */
	if (newest == READ(struct list_head, head, prev)) {
		struct delivery d = { .by_us = by_us };

		deliver(&d, uwq_of(newest));
		return;
	}
	deliver_newest(ctx, by_us, nr_read, nr_most, deliver_next);
}

/* This many bytes of messages were read from a userfaultfd. */
static __always_inline void messages_read(struct file *file, long bytes)
{
	__u32 nr = bytes / sizeof(struct uffd_msg);

	if (bytes > 0)
		deliver_read(file, nr, nr + DEPTH, true);
}

/* Entries to look at although they are marked: several readers may mark in another order than they read. */
#define MAX_MARKED 8

/*
 * A resolver has usually read the message before. The end of some reads is not seen: they had begun before watching,
 * or found no kretprobe instance. Most of these faults are marked when they are woken. But a fault whose page is
 * there before it sleeps leaves the queue by itself: when the ioctl begins, it is still in the queue.
 */
static void resolver_comes(struct file *file)
{
	deliver_read(file, MAX_MARKED, DEPTH, false);
}

#endif
