/* SPDX-License-Identifier: GPL-2.0-only */
/* A fault by programs on the functions of userfaultfd, which leave more to be found out than tracepoints do. */
#ifndef UFFDCTL_BPF_WATCH_FUNCTION_H
#define UFFDCTL_BPF_WATCH_FUNCTION_H

#include "bpf/watch/fault.h"

/* Not in the headers of every machine that builds this. */
#define FEATURE_SIGBUS (1 << 7)
#define FEATURE_EXACT_ADDRESS (1 << 11)
#define USER_MODE_ONLY 1
#define FLAG_RWP (1 << 3)

/* What handle_userfault() decides before it queues a message. Its result has the last word. */
static bool will_queue(struct userfaultfd_ctx *ctx, struct task_struct *task, __u32 flags)
{
	if (!(flags & FAULT_FLAG_ALLOW_RETRY) || flags & FAULT_FLAG_RETRY_NOWAIT)
		return false;
	if (GET(ctx, features) & FEATURE_SIGBUS || GET(ctx, released))
		return false;
	if (!(flags & FAULT_FLAG_USER) && GET(ctx, flags) & USER_MODE_ONLY)
		return false;
	return !(task->flags & (PF_EXITING | PF_DUMPCORE));
}

static __u64 message_flags(__u32 fault_flags, __u64 reason)
{
	return (fault_flags & FAULT_FLAG_WRITE ? UFFD_PAGEFAULT_FLAG_WRITE : 0) |
	       (reason & VM_UFFD_WP ? UFFD_PAGEFAULT_FLAG_WP : 0) |
	       (reason & config.vm_minor ? UFFD_PAGEFAULT_FLAG_MINOR : 0) | (reason & config.vm_rwp ? FLAG_RWP : 0);
}

static void fault_begins(struct vm_fault *vmf, __u64 reason)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma = GET(vmf, vma);
	struct userfaultfd_ctx *ctx = GET(vma, vm_userfaultfd_ctx.ctx);
	__u32 flags = GET(vmf, flags);

	if (!ctx || !will_queue(ctx, task, flags))
		return;
	fault_queued(task, ctx, message_flags(flags, reason),
		     GET(ctx, features) & FEATURE_EXACT_ADDRESS ? GET(vmf, real_address) : GET(vmf, address));
}

/* Which keeps it from sleeping. By the sets, since the number of TIF_SIGPENDING differs between kernels. */
static bool has_signal(struct task_struct *task)
{
	return (task->pending.signal.sig[0] | task->signal->shared_pending.signal.sig[0]) & ~task->blocked.sig[0];
}

/* handle_userfault() has returned. */
static void fault_ends(__u32 ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ev_slot *s = slot_of(task, false);
	struct ev_stats *st;
	bool slept;

	if (went_on(s, task) || !s || s->state != EV_WAITING)
		return;
	if (ret & VM_FAULT_RETRY) {
		slept = has_slept(s, task);
		fault_ended(s, slept || has_signal(task) ? EV_SIGNAL : EV_NOT_WAITED, slept);
		return;
	}
	/* No message was queued, against what will_queue() told. */
	release(s, EV_IDLE);
	st = own_stats();
	if (st)
		ADD(st->faults[s->f.kind & 3], -1);
}

static struct list_head *head_of(const void *ctx, __u32 queue)
{
	return (void *)ctx + queue + bpf_core_field_offset(struct wait_queue_head, head);
}

#define MAX_STEPS 64

/*
 * The queue that an entry is in ends at fault_wqh. So is seen what was read by a call that had
 * begun before we were there, or for which a kretprobe had no room.
 */
static bool was_read(const void *ctx, __u64 entry)
{
	struct list_head *read = head_of(ctx, bpf_core_field_offset(struct userfaultfd_ctx, fault_wqh));
	struct list_head *queued = head_of(ctx, bpf_core_field_offset(struct userfaultfd_ctx, fault_pending_wqh));
	struct list_head *at = (void *)entry + bpf_core_field_offset(struct wait_queue_entry, entry);

	for (int i = 0; i < MAX_STEPS && at && at != read && at != queued; i++)
		at = READ(struct list_head, at, next);
	return at == read;
}

/* userfaultfd_wake_function() is asked whether this entry is to be woken. */
static void fault_woken(struct task_struct *task, __u64 entry, const void *key)
{
	__u64 start = READ(struct userfaultfd_wake_range, key, start);
	__u64 len = READ(struct userfaultfd_wake_range, key, len), addr;
	struct ev_slot *s = slot_of(task, false);
	struct ev_stats *st = own_stats();

	addr = s && s->state == EV_WAITING ? s->f.addr : address_of_wait(entry);
	if (!st || (len && (start > addr || start + len <= addr)))
		return;
	s = ending_slot(s, task, uwq_of_wait(entry));
	if (!s)
		return;
	if (!s->f.read_ns && was_read((void *)s->f.ctx, entry))
		delivered(st, s, bpf_ktime_get_ns());
	woken(st, s, task, false);
}

struct delivery {
	struct list_head *head, *at;
	struct ev_stats *st;
	__u64 now;
	__u32 nr_left; /* messages that were read, or entries that are looked at though they are marked */
};

/*
 * The newest entries of fault_wqh are those that were just read. Those of other readers may be among them, so that
 * the walk ends with one that is marked, beyond as many as were read.
 */
static long deliver_next(__u32 i, struct delivery *d)
{
	struct userfaultfd_wait_queue *uwq;
	struct ev_slot *s;
	bool marked;

	d->at = READ(struct list_head, d->at, next);
	if (!d->at || d->at == d->head)
		return 1;
	uwq = uwq_of(d->at);
	s = slot_of(READ(struct userfaultfd_wait_queue, uwq, wq.private), false);
	marked = s && (waited_before(s) || (s->state == EV_WAITING && s->f.read_ns));
	if (s && s->state == EV_WAITING && !marked)
		delivered(d->st, s, d->now);
	if (d->nr_left)
		d->nr_left--;
	return marked && !d->nr_left;
}

/* So many bytes of messages were read from a userfaultfd. */
static void messages_read(struct file *file, long bytes)
{
	struct userfaultfd_ctx *ctx = GET(file, private_data);
	struct delivery d = { .st = own_stats() };

	if (bytes <= 0 || !ctx || !d.st || !nr_taken)
		return;
	d.head = head_of(ctx, bpf_core_field_offset(ctx->fault_wqh));
	d.at = d.head;
	/* When it was, only records tell. */
	d.now = config.stream ? bpf_ktime_get_ns() : 1;
	d.nr_left = bytes / sizeof(struct uffd_msg);
	bpf_loop(d.nr_left + MAX_STEPS, deliver_next, &d, 0);
}

/* Several readers mark in another order than they read. */
#define MAX_MARKED 8

/*
 * Whoever resolves has read the message before, as a rule, and not each call that reads is seen to end: some had begun
 * before we were there, or no kretprobe had room. Most of these faults are seen to be read when they are woken. But one
 * whose page is there before it sleeps leaves the queue by itself: now it is there still.
 */
static void resolver_comes(struct file *file)
{
	struct userfaultfd_ctx *ctx = GET(file, private_data);
	struct delivery d = { .st = own_stats() };

	if (!ctx || !d.st || !nr_taken)
		return;
	d.head = head_of(ctx, bpf_core_field_offset(ctx->fault_wqh));
	d.at = d.head;
	d.now = config.stream ? bpf_ktime_get_ns() : 1;
	d.nr_left = MAX_MARKED;
	bpf_loop(MAX_STEPS, deliver_next, &d, 0);
}

#endif
