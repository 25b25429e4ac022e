/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fault from its beginning to its end, for backends that see handle_userfault() itself.
 * The includer defines GET(p, field), for pointers that may have their type from a function's arguments;
 * READ(type, p, field) is for those that never have.
 */
#ifndef UFFDCTL_BPF_WATCH_FAULT_H
#define UFFDCTL_BPF_WATCH_FAULT_H

#include "watch.h"

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __attribute__((section(".ksyms"), weak));

/* A tenth of a read by helper, where the kernel has it (6.2). */
#define READ(type, p, field)                                                                          \
	({                                                                                            \
		const void *_p = (p); /* a local struct's field in it would be relocated as well */   \
		bpf_rdonly_cast ? ((type *)bpf_rdonly_cast(_p, bpf_core_type_id_kernel(type)))->field \
				: BPF_CORE_READ((type *)_p, field);                                   \
	})

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

/* By itself, not woken. Claimed by whoever sees it first. */
static void fault_ended(struct ev_slot *s, bool slept)
{
	struct ev_stats *st = own_stats();

	if (!st || __sync_val_compare_and_swap(&s->state, EV_WAITING, EV_FILLING) != EV_WAITING)
		return;
	s->f.end_ns = bpf_ktime_get_ns();
	s->f.end = slept ? EV_SIGNAL : EV_NOT_WAITED;
	ADD(st->blocked, slept);
	count_end_in(st, &s->f);
	release(s);
}

static void fault_begins(struct vm_fault *vmf, __u64 reason)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vm_area_struct *vma = GET(vmf, vma);
	struct userfaultfd_ctx *ctx = GET(vma, vm_userfaultfd_ctx.ctx);
	__u32 fault_flags = GET(vmf, flags);
	__u64 flags = message_flags(fault_flags, reason), mm, addr;
	struct pt_regs *regs;
	struct ev_slot *s;

	if (!ctx)
		return;
	mm = (__u64)GET(ctx, mm);
	addr = GET(ctx, features) & FEATURE_EXACT_ADDRESS ? GET(vmf, real_address) : GET(vmf, address);
	if (!is_wanted(mm) || !is_chosen(flags, addr) || !will_queue(ctx, task, fault_flags))
		return;
	s = slot_of(task, true);
	if (!s)
		return;
	/* Nobody saw the last one's end. */
	if (s->state == EV_WAITING)
		fault_ended(s, s->slept);
	s->slept = 0;
	s->switches = task->nvcsw;
	s->f.start_ns = bpf_ktime_get_ns();
	s->f.end_ns = 0;
	s->f.read_ns = 0;
	s->f.ctx = (__u64)ctx;
	s->f.mm = mm;
	s->f.addr = addr;
	s->f.flags = flags;
	s->f.kind = kind_of(flags);
	if (config.stream) {
		regs = (struct pt_regs *)bpf_task_pt_regs(task);
		s->f.ip = task->flags & PF_KTHREAD ? 0 : REGS_IP(regs);
		s->f.resolver_pid = 0;
		s->f.resolver_tid = 0;
		s->f.op = EV_OP_NONE;
		set_current(task, &s->f.pid, &s->f.tid, s->f.comm);
	}
	ADD(nr_taken, 1);
	__sync_lock_test_and_set(&s->state, EV_WAITING);
	count_fault(&s->f);
}

/* handle_userfault() has returned. */
static void fault_ends(__u32 ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ev_slot *s = slot_of(task, false);
	struct ev_stats *st;

	if (!s || s->state != EV_WAITING)
		return;
	if (ret & VM_FAULT_RETRY) {
		fault_ended(s, s->slept || task->nvcsw != s->switches);
		return;
	}
	/* No message was queued, against what will_queue() told. */
	release(s);
	st = own_stats();
	if (st)
		ADD(st->faults[s->f.kind & 3], -1);
}

/* Its message was read: counted once, by whoever sees it first. */
static void delivered(struct ev_stats *st, struct ev_slot *s, __u64 now)
{
	if (!__sync_val_compare_and_swap(&s->f.read_ns, 0, now))
		ADD(st->delivered, 1);
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

/*
 * A thread is woken whose beginning nobody saw: on preemptible kernels a program is left out where
 * another thread on the same CPU was preempted in it. This one runs under a lock.
 */
static void count_unseen(struct task_struct *task, __u64 entry)
{
	struct userfaultfd_wait_queue *uwq = uwq_of_wait(entry);
	struct ev_stats *st = own_stats();
	struct uffd_msg msg = {};
	struct ev_fault f = {};

	if (!st || !config.all_seen || READ(struct userfaultfd_wait_queue, uwq, waken))
		return;
	f.ctx = (__u64)READ(struct userfaultfd_wait_queue, uwq, ctx);
	f.mm = mm_of((void *)f.ctx);
	bpf_core_read(&msg, sizeof(msg), &uwq->msg);
	f.addr = msg.arg.pagefault.address;
	f.flags = msg.arg.pagefault.flags;
	f.kind = kind_of(f.flags);
	if (!is_wanted(f.mm) || !is_chosen(f.flags, f.addr))
		return;
	f.start_ns = bpf_ktime_get_ns();
	f.end_ns = f.start_ns;
	set_thread(&f, task);
	set_resolver(&f, bpf_get_current_task_btf());
	count_fault(&f);
	ADD(st->blocked, 1);
	ADD(st->delivered, was_read((void *)f.ctx, entry));
	count_end_in(st, &f);
}

/*
 * userfaultfd_wake_function() is asked whether this entry is to be woken. The thread can't leave
 * before that has returned: the lock of the queue is held.
 */
static void fault_woken(struct task_struct *task, __u64 entry, const void *key, bool may_be_unseen)
{
	struct ev_slot *s = slot_of(task, false);
	struct ev_stats *st = own_stats();
	__u64 start = READ(struct userfaultfd_wake_range, key, start);
	__u64 len = READ(struct userfaultfd_wake_range, key, len), addr;

	addr = s && s->state == EV_WAITING ? s->f.addr : address_of_wait(entry);
	if (!st || (len && (start > addr || start + len <= addr)))
		return;
	if (!s || s->state != EV_WAITING) {
		if (s && s->state == EV_BEFORE)
			s->state = EV_IDLE;
		else if (may_be_unseen)
			count_unseen(task, entry);
		return;
	}
	if (__sync_val_compare_and_swap(&s->state, EV_WAITING, EV_FILLING) != EV_WAITING)
		return;
	s->f.end_ns = bpf_ktime_get_ns();
	if (!s->f.read_ns && was_read((void *)s->f.ctx, entry))
		delivered(st, s, s->f.end_ns);
	set_resolver(&s->f, bpf_get_current_task_btf());
	ADD(st->blocked, s->slept || READ(struct task_struct, task, nvcsw) != s->switches);
	count_end_in(st, &s->f);
	release(s);
}

struct delivery {
	struct list_head *head, *at;
	struct ev_stats *st;
	__u64 now;
};

/* The newest entries of fault_wqh are those that were just read. */
static long deliver_next(__u32 i, struct delivery *d)
{
	struct userfaultfd_wait_queue *uwq;
	struct ev_slot *s;

	d->at = READ(struct list_head, d->at, next);
	if (!d->at || d->at == d->head)
		return 1;
	uwq = uwq_of(d->at);
	s = slot_of(READ(struct userfaultfd_wait_queue, uwq, wq.private), false);
	if (s && s->state == EV_WAITING)
		delivered(d->st, s, d->now);
	return 0;
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
	bpf_loop(bytes / sizeof(struct uffd_msg), deliver_next, &d, 0);
}

#endif
