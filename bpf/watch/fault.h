/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fault from its beginning to its end, for backends that see each of its steps: the word of a slot is only its
 * state. The includer defines GET(p, field), which reads through a pointer that may have its type from a program's
 * arguments.
 */
#ifndef UFFDCTL_BPF_WATCH_FAULT_H
#define UFFDCTL_BPF_WATCH_FAULT_H

#include "bpf/watch/processes.h"
#include "bpf/watch/read.h"
#include "bpf/watch/tally.h"
#include "bpf/watch/thread.h"

static void release(struct ev_slot *s, enum ev_slot_state after)
{
	__sync_lock_test_and_set(&s->word, after);
	ADD(nr_taken, -1);
}

static bool is_waiting(const struct ev_slot *s)
{
	return s && s->word == EV_WAITING;
}

static bool waited_before(const struct ev_slot *s)
{
	return s->word == EV_BEFORE || s->word == EV_BEFORE_READ;
}

/* Claim the fault for counting, if nobody else was first. */
static bool claim_end(struct ev_slot *s)
{
	if (__sync_val_compare_and_swap(&s->word, EV_WAITING, EV_FILLING) != EV_WAITING)
		return false;
	s->f.end_ns = bpf_ktime_get_ns();
	return true;
}

/* The fault has ended, and no waker has counted it. The first to see it counts it. */
static void fault_ended(struct ev_slot *s, enum ev_end end, bool slept)
{
	struct ev_stats *st = own_stats();

	if (!claim_end(s))
		return;
	s->f.end = end;
	ADD(st->blocked, slept);
	count_end(&s->f);
	release(s, EV_IDLE);
}

static __always_inline void start(struct ev_slot *s, struct userfaultfd_ctx *ctx, __u64 mm, __u64 flags, __u64 addr,
				  bool unseen)
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
	wait_begins(s);
	ADD(nr_taken, 1);
	__sync_lock_test_and_set(&s->word, EV_WAITING);
	count_fault(own_stats(), &s->f);
}

/* The current task is about to queue a message. */
static void fault_queued(struct task_struct *task, struct userfaultfd_ctx *ctx, __u64 flags, __u64 addr)
{
	__u64 mm = (__u64)GET(ctx, mm);
	struct ev_slot *s;

	if (!is_wanted(mm) || !is_chosen(flags, addr))
		return;
	s = slot_of(task, true);
	if (!s)
		return;
	if (is_waiting(s))
		end_missed(s, task);
	s->slept = 0;
	s->switches = task->nvcsw;
	if (is_streaming()) {
		s->f.ip = user_ip(task);
		s->f.process_ns = (__u64)task->mm == mm ? task->group_leader->start_time : 0;
		set_current(task, &s->f.pid, &s->f.tid, s->f.comm);
	}
	set_nobody(&s->f);
	start(s, ctx, mm, flags, addr, false);
}

/*
 * Nobody saw the beginning of this wait: on preemptible kernels, a program is skipped if another thread on the same
 * CPU was preempted in it. Programs that run under the queue's lock are never skipped (except with PREEMPT_RT, and
 * those of kprobes: see totals.h). A fault that found no room at its beginning stays missed, even if there is room by
 * now.
 */
static __noinline struct ev_slot *start_unseen(struct ev_slot *s, struct task_struct *task, const void *uwq)
{
	struct userfaultfd_ctx *ctx;
	struct uffd_msg msg;
	__u64 mm;

	if (!all_seen || READ(struct userfaultfd_wait_queue, uwq, waken))
		return NULL;
	ctx = READ(struct userfaultfd_wait_queue, uwq, ctx);
	mm = mm_of(ctx);
	msg = msg_of((void *)uwq);
	if (!is_wanted(mm) || !is_chosen(msg.arg.pagefault.flags, msg.arg.pagefault.address))
		return NULL;
	if (!s && !no_room)
		s = take_place((__u64)task);
	if (!s)
		return NULL;
	/* A thread that sleeps does not run; one that runs may be about to sleep, which went_on() sees. */
	s->slept = !bpf_core_field_exists(task->on_cpu) || !READ(struct task_struct, task, on_cpu);
	s->switches = READ(struct task_struct, task, nvcsw);
	s->f.ip = 0;
	set_nobody(&s->f);
	start(s, ctx, mm, msg.arg.pagefault.flags, msg.arg.pagefault.address, true);
	set_thread(&s->f, task);
	return s;
}

/* The thread with this entry does not wait any more. Returns its slot, if its fault must be counted. */
static __always_inline struct ev_slot *ending_slot(struct ev_slot *s, struct task_struct *task, const void *uwq)
{
	if (is_waiting(s))
		return s;
	if (s && waited_before(s)) {
		s->word = EV_LEAVING;
		return NULL;
	}
	return start_unseen(s, task, uwq);
}

/*
 * Its message was read: the first to see it counts it.
 * @by_us: the current task has read it
 */
static void delivered(struct ev_stats *st, struct ev_slot *s, __u64 now, bool by_us)
{
	if (__sync_val_compare_and_swap(&s->f.read_ns, 0, now))
		return;
	ADD(st->delivered, 1);
	if (by_us)
		set_reader(&s->f);
}

/*
 * The current task wakes the thread; it holds the lock of the queue, so the thread goes on only after that. A thread
 * that has not slept by now may still sleep for an instant: it leaves its run queue before nvcsw shows it, and the
 * waker waits for it. The thread itself will know (went_on).
 * @switches: voluntary context switches of the thread so far
 * @released: it is known that the last close wakes
 */
static __always_inline void woken(struct ev_stats *st, struct ev_slot *s, __u64 switches, bool released)
{
	struct task_struct *self = bpf_get_current_task_btf();
	bool slept = has_slept(s, switches);

	if (!claim_end(s))
		return;
	set_resolver(&s->f, self, released);
	note_resolver(&s->f, self);
	ADD(st->blocked, slept);
	count_end(&s->f);
	release(s, slept ? EV_LEAVING : EV_DONE);
}

/* The current task leaves handle_userfault(). True: it was woken, and this is counted. */
static bool went_on(struct ev_slot *s, struct task_struct *task)
{
	if (!s || (s->word != EV_DONE && s->word != EV_LEAVING))
		return false;
	if (s->word == EV_DONE)
		ADD(own_stats()->blocked, task->nvcsw != s->switches);
	s->word = EV_IDLE;
	return true;
}

#endif
