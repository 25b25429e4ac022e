/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults by stable tracepoints alone, where neither fentry nor kprobes can be had.
 *
 * A fault shows in up to three signs, on several CPUs at once:
 *  1. its thread goes to sleep with an entry in a queue of a userfaultfd (sched_sleep.bpf.c);
 *  2. the thread is woken, most often by a range operation (sched_wake.bpf.c);
 *  3. its message is read (sched_read.bpf.c).
 * They come in any order: a thread is off its run queue, and can be woken, before sched_switch shows
 * that it sleeps. The first sign that takes the thread's slot counts the fault; what the others add is
 * noted in the slot's word, also when the fault has ended (EV_DONE). A thread's slot is that of its
 * present fault if it has completed no page fault since, and not slept but for this once.
 *
 * Some faults show in no sign: the page was there before the thread slept, and the thread has left the
 * queue when the reader's call ends. Readers count messages, and faults are marked when their message
 * is known to be read: what is left of the one when the other is taken off are those faults.
 */
#ifndef UFFDCTL_BPF_WATCH_SCHED_H
#define UFFDCTL_BPF_WATCH_SCHED_H

#include "bpf/watch/governed.h"
#include "bpf/watch/search.h"
#include "bpf/watch/slots.h"
#include "bpf/watch/thread.h"

/* Each of the other signs changes a word once: so often it is tried. */
#define MAX_TRIES 4

#define WORD(s) (*(volatile __u32 *)&(s)->word)

/* What of a thread differs from one of its faults to the next. */
struct thread_marks {
	__u64 completed; /* page faults */
	__u64 switches;	 /* of its own will */
};

/* What a sign shows of a fault. Without holes: a function that is verified by itself may read all of it. */
struct sign {
	struct found found;
	struct thread_marks marks;
	__u64 now;
	__u64 flags; /* EV_DELIVERY_SEEN, EV_SLEEP_SEEN */
};

static inline struct thread_marks marks_of(const struct task_struct *task)
{
	return (struct thread_marks){ task->min_flt + task->maj_flt, task->nvcsw };
}

static inline void fill(struct ev_fault *f, struct task_struct *task, const struct found *found, __u64 now)
{
	struct uffd_msg msg = msg_of(found->uwq);

	f->start_ns = now;
	f->end_ns = 0;
	f->read_ns = 0;
	f->ctx = (__u64)found->ctx;
	f->mm = mm_of(found->ctx);
	f->addr = msg.arg.pagefault.address;
	f->flags = msg.arg.pagefault.flags;
	f->kind = kind_of(f->flags);
	f->ip = 0;
	f->unmeasured = 0;
	set_no_resolver(f);
	set_thread(f, task);
}

static inline void set_marks(struct ev_slot *s, const struct sign *sign)
{
	s->uwq = (__u64)sign->found.uwq;
	s->completed = sign->marks.completed;
	s->switches = sign->marks.switches;
	s->arrival = 0;
}

/* Is the slot's fault the one that the thread is in? It is in one with this entry. */
static inline bool is_same(const struct ev_slot *s, __u64 uwq, const struct thread_marks *marks)
{
	/* It sleeps once, and the sign that took the slot was before or after. */
	return s->uwq == uwq && s->completed == marks->completed && marks->switches - s->switches <= 1;
}

/* Until all who waited before are known, readers' own count is not used: what is marked is what was read. */
static inline void mark_read(struct ev_stats *st, __u32 kind)
{
	ADD(st->marked[KIND(kind)], 1);
	if (!all_seen)
		ADD(st->messages[KIND(kind)], 1);
}

/* One that waited before: its message is not to be among those that are counted. */
static inline void discount(__u64 ctx, __u64 task)
{
	struct ev_stats *st = own_stats();
	struct found found = {};
	struct uffd_msg msg;

	if (!st || !all_seen || !find_in_ctx((void *)ctx, task, &found) || !found.delivered)
		return;
	if (!is_chosen_uwq((__u64)found.uwq))
		return;
	msg = msg_of(found.uwq);
	ADD(st->messages[KIND(kind_of(msg.arg.pagefault.flags))], -1);
}

static inline bool change(struct ev_slot *s, __u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&s->word, from, to) == from;
}

/*
 * A slot that is being filled is so no more. Returns its word before, with what others have noted meanwhile: when its
 * message was read, if it was, is not for them to write, and is now.
 */
static inline __u32 publish(struct ev_slot *s, __u32 state, __u32 flags, __u64 now)
{
	__u32 word = 0, to;

	for (int i = 0; i < MAX_TRIES; i++) {
		word = WORD(s);
		if ((word | flags) & EV_DELIVERY_SEEN && !s->f.read_ns)
			s->f.read_ns = now;
		to = ev_slot_state(word) == EV_TAKEN_OVER ? EV_DONE : state;
		if (change(s, word, (word & ~EV_STATE_MASK) | flags | to))
			break;
	}
	return word;
}

/* The word of a slot that is taken for another fault. */
static inline __u32 next_word(__u32 word)
{
	return (word & -EV_NEXT) + EV_NEXT + EV_FILLING;
}

/*
 * For a fault that a thread is in, by the address of its task. True: the slot was had, and the fault is counted, if not
 * by us by the waker who took it over.
 */
int take_slot(struct ev_slot *s, __u32 word, __u64 task, const struct sign *sign);

#endif
