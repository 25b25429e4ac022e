/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults seen by stable tracepoints only, if neither fentry nor kprobes are available.
 *
 * A fault has up to three signs, which several CPUs may see at once:
 *  1. its thread goes to sleep with an entry in a queue of a userfaultfd (sched_sleep.bpf.c);
 *  2. the thread is woken, most often by an ioctl on a userfaultfd (sched_wake.bpf.c);
 *  3. its message is read (sched_read.bpf.c).
 *
 * They come in any order: a thread leaves its run queue, and can be woken, before sched_switch shows that it sleeps.
 * The first sign to take the thread's slot counts the fault; the others note what they know in the slot's word, also
 * after the fault has ended (EV_DONE). A slot is for the current fault of its thread if the thread has completed no
 * page fault since, and has slept only this once.
 *
 * Some faults have no sign: the page was there before the thread slept, and the thread has left the queue when the
 * reader's call ends. Their number is the number of messages that readers have read, minus the number of faults that
 * were marked as read.
 */
#ifndef UFFDCTL_BPF_WATCH_SCHED_H
#define UFFDCTL_BPF_WATCH_SCHED_H

#include "bpf/watch/governed.h"
#include "bpf/watch/search.h"
#include "bpf/watch/tally.h"
#include "bpf/watch/thread.h"

/* Each of the other signs changes a word once: this limits the number of tries. */
#define MAX_TRIES 4

#define WORD(s) (*(volatile __u32 *)&(s)->word)

/* The data of a thread that differ from one of its faults to the next. */
struct thread_marks {
	__u64 completed; /* page faults */
	__u64 switches;	 /* voluntary context switches */
};

/* What a sign shows about a fault. No holes: a function that is verified separately may read all of it. */
struct sign {
	struct found found;
	struct thread_marks marks;
	__u64 now;
	__u32 flags; /* EV_DELIVERY_SEEN, EV_SLEEP_SEEN */
	__u32 read;  /* the current task has read the message */
};

static inline struct thread_marks marks_of(const struct task_struct *task)
{
	return (struct thread_marks){ task->min_flt + task->maj_flt, task->nvcsw };
}

static inline bool is_linked(struct list_head *at)
{
	struct list_head *next = BPF_CORE_READ(at, next);

	return next != at && BPF_CORE_READ(next, prev) == at;
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
	set_nobody(f);
	set_thread(f, task);
}

static inline void set_marks(struct ev_slot *s, const struct sign *sign)
{
	s->uwq = (__u64)sign->found.uwq;
	s->completed = sign->marks.completed;
	s->switches = sign->marks.switches;
	s->arrival = 0;
}

/* Is the slot's fault the current one of the thread? The thread is in a fault with this entry. */
static inline bool is_same(const struct ev_slot *s, __u64 uwq, const struct thread_marks *marks)
{
	/* A thread sleeps once in a fault, before or after the sign that took the slot. */
	return s->uwq == uwq && s->completed == marks->completed && marks->switches - s->switches <= 1;
}

/* Until all earlier waiters are known, readers count no messages: count that of a marked fault here. */
static inline void mark_read(struct ev_stats *st, __u32 kind)
{
	ADD(st->marked[KIND(kind)], 1);
	if (!all_seen)
		ADD(st->messages[KIND(kind)], 1);
}

/* The fault of an earlier waiter: do not count its message. */
static inline void discount(__u64 ctx, __u64 task)
{
	struct ev_stats *st = own_stats();
	struct found found = {};
	struct uffd_msg msg;

	if (!all_seen || !find_in_ctx((void *)ctx, task, &found) || !found.delivered)
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
 * End filling a slot. Returns its word before, with what others have noted meanwhile. They do not write the time when
 * its message was read: write it now.
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

/* The new word of a slot that is taken for another fault. */
static inline __u32 next_word(__u32 word)
{
	return (word & -EV_NEXT) + EV_NEXT + EV_FILLING;
}

/* The current task has read the message of the slot's fault. Not inlined: little stack is left where it is called. */
int note_reader(struct ev_slot *s);

/*
 * Take the slot for a thread's current fault, by the address of its task. True: the slot was taken, and the fault is
 * counted, by us or by the waker that took it over.
 */
int take_slot(struct ev_slot *s, __u32 word, __u64 task, const struct sign *sign);

#endif
