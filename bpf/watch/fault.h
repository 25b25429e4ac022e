/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fault from its beginning to its end, for backends that see each of its steps.
 * The includer defines GET(p, field), for pointers that may have their type from a program's arguments;
 * READ(type, p, field) is for those that never have. It defines MAY_SKIP: whether a beginning may be missed.
 */
#ifndef UFFDCTL_BPF_WATCH_FAULT_H
#define UFFDCTL_BPF_WATCH_FAULT_H

#include "bpf/watch/common.h"

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __attribute__((section(".ksyms"), weak));

/* A tenth of a read by helper, where the kernel has it (6.2). */
#define READ(type, p, field)                                                                          \
	({                                                                                            \
		const void *_p = (p); /* a local struct's field in it would be relocated as well */   \
		bpf_rdonly_cast ? ((type *)bpf_rdonly_cast(_p, bpf_core_type_id_kernel(type)))->field \
				: BPF_CORE_READ((type *)_p, field);                                   \
	})

static void release(struct ev_slot *s, enum ev_slot_state after)
{
	__sync_lock_test_and_set(&s->state, after);
	ADD(nr_taken, -1);
}

static bool waited_before(const struct ev_slot *s)
{
	return s->state == EV_BEFORE || s->state == EV_BEFORE_READ;
}

/* By itself, not woken. Claimed by whoever sees it first. */
static void fault_ended(struct ev_slot *s, enum ev_end end, bool slept)
{
	struct ev_stats *st = own_stats();

	if (!st || __sync_val_compare_and_swap(&s->state, EV_WAITING, EV_FILLING) != EV_WAITING)
		return;
	s->f.end_ns = bpf_ktime_get_ns();
	s->f.end = end;
	ADD(st->blocked, slept);
	count_end_in(st, &s->f);
	release(s, EV_IDLE);
}

static bool has_slept(const struct ev_slot *s, struct task_struct *task)
{
	return s->slept || READ(struct task_struct, task, nvcsw) != s->switches;
}

/* Until somebody is known to have ended it. */
static void set_no_resolver(struct ev_fault *f)
{
	f->resolver_pid = 0;
	f->resolver_tid = 0;
	f->op = EV_OP_NONE;
}

static void start(struct ev_slot *s, struct userfaultfd_ctx *ctx, __u64 mm, __u64 flags, __u64 addr, bool unseen)
{
	s->f.start_ns = bpf_ktime_get_ns();
	s->f.end_ns = 0;
	s->f.read_ns = 0;
	s->f.ctx = (__u64)ctx;
	s->f.mm = mm;
	s->f.addr = addr;
	s->f.flags = flags;
	s->f.kind = kind_of(flags);
	s->f.unmeasured = unseen;
	ADD(nr_taken, 1);
	__sync_lock_test_and_set(&s->state, EV_WAITING);
	count_fault(&s->f);
}

/* The current task is about to queue a message. */
static void fault_queued(struct task_struct *task, struct userfaultfd_ctx *ctx, __u64 flags, __u64 addr)
{
	__u64 mm = (__u64)GET(ctx, mm);
	struct pt_regs *regs;
	struct ev_slot *s;

	if (!is_wanted(mm) || !is_chosen(flags, addr))
		return;
	s = slot_of(task, true);
	if (!s)
		return;
	/* Nobody saw the last one's end. */
	if (s->state == EV_WAITING)
		end_unseen(s, s->state, EV_IDLE);
	s->slept = 0;
	s->switches = task->nvcsw;
	if (config.stream) {
		regs = (struct pt_regs *)bpf_task_pt_regs(task);
		s->f.ip = task->flags & PF_KTHREAD ? 0 : REGS_IP(regs);
		s->f.process_ns = (__u64)task->mm == mm ? task->group_leader->start_time : 0;
		set_current(task, &s->f.pid, &s->f.tid, s->f.comm);
		set_no_resolver(&s->f);
	}
	start(s, ctx, mm, flags, addr, false);
}

/*
 * A thread waits whose beginning nobody saw: on preemptible kernels a program is left out where
 * another thread on the same CPU was preempted in it. Those that run under the queue's lock never are.
 * Who found no room at the beginning stays missed, though there may be room by now.
 */
static __noinline struct ev_slot *start_unseen(struct ev_slot *s, struct task_struct *task, const void *uwq)
{
	struct userfaultfd_ctx *ctx;
	struct uffd_msg msg = {};
	__u64 mm;

	if (!config.all_seen || READ(struct userfaultfd_wait_queue, uwq, waken))
		return NULL;
	ctx = READ(struct userfaultfd_wait_queue, uwq, ctx);
	mm = mm_of(ctx);
	bpf_core_read(&msg, sizeof(msg), &((struct userfaultfd_wait_queue *)uwq)->msg);
	if (!is_wanted(mm) || !is_chosen(msg.arg.pagefault.flags, msg.arg.pagefault.address))
		return NULL;
	if (!s && !no_room)
		s = take_place((__u64)task);
	if (!s)
		return NULL;
	/* Who sleeps does not run; who runs is on the way to sleep, or not, as went_on() sees. */
	s->slept = !bpf_core_field_exists(task->on_cpu) || !READ(struct task_struct, task, on_cpu);
	s->switches = READ(struct task_struct, task, nvcsw);
	s->f.ip = 0;
	start(s, ctx, mm, msg.arg.pagefault.flags, msg.arg.pagefault.address, true);
	set_thread(&s->f, task);
	set_no_resolver(&s->f);
	return s;
}

/* The thread that waits with this entry does so no longer. Its slot, if that is a fault to count. */
static __always_inline struct ev_slot *ending_slot(struct ev_slot *s, struct task_struct *task, const void *uwq)
{
	if (s && s->state == EV_WAITING)
		return s;
	if (s && waited_before(s)) {
		s->state = EV_IDLE;
		return NULL;
	}
	return MAY_SKIP ? start_unseen(s, task, uwq) : NULL;
}

/* Its message was read: counted once, by whoever sees it first. */
static void delivered(struct ev_stats *st, struct ev_slot *s, __u64 now)
{
	if (!__sync_val_compare_and_swap(&s->f.read_ns, 0, now))
		ADD(st->delivered, 1);
}

/*
 * By the current task, which holds the lock of the queue: the thread goes on after that. released: is known.
 * Who has not slept by now may do so yet, for an instant: it is off its run queue before that shows, and waking waits
 * for it. The thread itself will know (went_on).
 */
static void woken(struct ev_stats *st, struct ev_slot *s, struct task_struct *task, bool released)
{
	bool slept;

	if (__sync_val_compare_and_swap(&s->state, EV_WAITING, EV_FILLING) != EV_WAITING)
		return;
	s->f.end_ns = bpf_ktime_get_ns();
	set_resolver(&s->f, bpf_get_current_task_btf(), released);
	slept = has_slept(s, task);
	ADD(st->blocked, slept);
	count_end_in(st, &s->f);
	release(s, slept ? EV_IDLE : EV_DONE);
}

/* The current task leaves handle_userfault(). True: it was woken, and that is counted. */
static bool went_on(struct ev_slot *s, struct task_struct *task)
{
	struct ev_stats *st = own_stats();

	if (!s || !st || s->state != EV_DONE)
		return false;
	ADD(st->blocked, task->nvcsw != s->switches);
	s->state = EV_IDLE;
	return true;
}

#endif
