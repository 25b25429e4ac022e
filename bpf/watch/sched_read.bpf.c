// SPDX-License-Identifier: GPL-2.0-only
/* The backend sched, third sign: the message is read. */
#define READS_BY_HELPER
#include "bpf/watch/delivery.h"
#include "bpf/watch/failures.h"
#include "bpf/watch/messages.h"
#include "bpf/watch/sched.h"

char _license[] SEC("license") = "GPL";

enum noted {
	AGAIN, /* the word changed: try again */
	KNOWN, /* noted before */
	NOTED,
};

/*
 * Is the entry still the one after from? If a thread has left the queue meanwhile and is in another fault, its entry
 * is at the same address.
 */
static bool is_still_there(struct list_head *from, const struct sign *sign)
{
	return BPF_CORE_READ(from, next) == entry_of(sign->found.uwq);
}

/* Has its fault ended? A thread that a signal has woken may not have run yet, and may still be in the queue. */
static bool has_ended(const struct ev_slot *s, const struct sign *sign, __u64 arrival)
{
	return is_same(s, (__u64)sign->found.uwq, &sign->marks) && (is_waken(sign->found.uwq) || s->arrival == arrival);
}

static enum noted note(struct ev_slot *s, __u32 word)
{
	if (word & EV_DELIVERY_SEEN)
		return KNOWN;
	return change(s, word, word | EV_DELIVERY_SEEN) ? NOTED : AGAIN;
}

static enum noted note_and_mark(struct ev_slot *s, __u32 word, struct ev_stats *st)
{
	__u32 kind = s->f.kind;
	enum noted r = note(s, word);

	if (r == NOTED)
		mark_read(st, kind);
	return r;
}

static enum noted note_waiting(struct ev_slot *s, __u32 word, const struct sign *sign, struct ev_stats *st)
{
	if (s->completed != sign->marks.completed) {
		end_lost(s, word, EV_DONE);
		return AGAIN;
	}
	if (!(word & EV_DELIVERY_SEEN)) {
		s->f.read_ns = sign->now;
		note_reader(s);
	}
	return note_and_mark(s, word, st);
}

static enum noted note_before(struct ev_slot *s, __u32 word, __u64 ctx, __u64 task)
{
	if (!change(s, word, EV_BEFORE_READ))
		return AGAIN;
	discount(ctx, task);
	return NOTED;
}

/* The slot's fault, if it has one, is older: this one is new. */
static enum noted note_new(struct ev_slot *s, __u32 word, struct task_struct *task, const struct sign *sign)
{
	bool done;

	/* Earlier waiters are still being looked for: this thread sleeps, or will be seen when it does. */
	if (!all_seen)
		done = change(s, word, EV_BEFORE_READ);
	else
		done = take_slot(s, word, (__u64)task, sign);
	return done ? NOTED : AGAIN;
}

static enum noted note_read(struct ev_slot *s, __u32 word, struct task_struct *task, const struct sign *sign,
			    struct ev_stats *st)
{
	switch (ev_slot_state(word)) {
	case EV_BEFORE:
		return note_before(s, word, (__u64)sign->found.ctx, (__u64)task);
	case EV_BEFORE_READ:
	case EV_TAKEN_OVER:
		return KNOWN;
	case EV_ENDING:
		return AGAIN;
	case EV_FILLING:
		/* The CPU that fills the slot marks it. */
		return note(s, word);
	case EV_WAITING:
		return note_waiting(s, word, sign, st);
	case EV_DONE:
		if (has_ended(s, sign, BPF_CORE_READ(task, sched_info.last_arrival)))
			return note_and_mark(s, word, st);
		break;
	default:
		break;
	}
	return note_new(s, word, task, sign);
}

/* True: it was known. */
static bool deliver_to(struct ev_slot *s, struct task_struct *task, struct sign *sign, struct list_head *from)
{
	struct ev_stats *st = own_stats();

	for (int i = 0; i < MAX_TRIES; i++) {
		__u32 word = WORD(s);
		enum noted r;

		/* Between the two checks the thread was in one fault; otherwise the word has changed. */
		if (!is_still_there(from, sign))
			return false;
		sign->marks.completed = BPF_CORE_READ(task, min_flt) + BPF_CORE_READ(task, maj_flt);
		sign->marks.switches = BPF_CORE_READ(task, nvcsw);
		if (!is_still_there(from, sign))
			return false;
		r = note_read(s, word, task, sign, st);
		if (r != AGAIN)
			return r == KNOWN;
	}
	return false;
}

/*
 * The message of an entry was read. True: that was known before. Not static: verified once, not within a loop.
 * @from: the entry before it, of which it is the next as long as it is there
 */
__noinline int deliver(__u64 ctx, __u64 uwq, __u64 from, __u64 now)
{
	struct userfaultfd_wait_queue *at = (void *)uwq;
	struct sign sign = {
		.found = { .uwq = at, .ctx = (void *)ctx, .delivered = true },
		.now = now,
		.flags = EV_DELIVERY_SEEN,
		.read = true,
	};
	struct task_struct *task = BPF_CORE_READ(at, wq.private);
	struct ev_slot *s;

	if (!task || !is_chosen_uwq(uwq))
		return false;
	s = find_slot((__u64)task);
	if (!s)
		s = take_place((__u64)task);
	if (s)
		return deliver_to(s, task, &sign, (void *)from);
	/* The fault is missed; this is counted when it sleeps. */
	no_room = 1;
	return false;
}

static long deliver_next(__u32 i, struct delivery *d)
{
	struct userfaultfd_wait_queue *uwq = NULL;

	if (!delivery_step(d, false, &uwq))
		return 1;
	return uwq && delivery_ends(d, deliver((__u64)d->ctx, (__u64)uwq, (__u64)d->from, delivery_time(d)));
}

/* ---- system calls ---- */

enum call {
	OTHER_CALL,
	CALL_IOCTL,
	CALL_READ,
	CALL_READV,
};

static enum call call_of(long nr)
{
	switch (nr) {
	case NR_READ:
		return CALL_READ;
	case NR_IOCTL:
		return CALL_IOCTL;
	case NR_READV:
	case NR_PREADV:
	case NR_PREADV2:
		return CALL_READV;
	default:
		return OTHER_CALL;
	}
}

static enum call compat_call_of(long nr)
{
	switch (nr) {
	case COMPAT_READ:
		return CALL_READ;
	case COMPAT_IOCTL:
		return CALL_IOCTL;
	case COMPAT_READV:
	case COMPAT_PREADV:
	case COMPAT_PREADV2:
		return CALL_READV;
	default:
		return OTHER_CALL;
	}
}

/* The current task has read this many bytes. */
static void read_ends(struct task_struct *task, struct pt_regs *regs, bool vector, long bytes)
{
	bool compat = IS_COMPAT(task), count = all_seen;
	struct userfaultfd_ctx *ctx = ctx_of_fd(task, REGS_ARG0(regs, compat));
	__u32 nr = bytes / sizeof(struct uffd_msg);

	if (!ctx || !is_wanted(mm_of(ctx)))
		return;
	/*
	 * Mark faults before messages are counted: a message that is counted, and whose fault is not marked, has no
	 * other sign.
	 */
	deliver_newest(ctx, true, nr, nr + DEPTH, deliver_next);
	if (count)
		count_messages(bytes, REGS_ARG1(regs, compat), vector ? REGS_ARG2(regs) : 0, compat);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(call_ends, struct pt_regs *regs, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	bool compat = IS_COMPAT(task);
	enum call call;

	call = compat ? compat_call_of(REGS_SYSCALL(regs)) : call_of(REGS_SYSCALL(regs));
	if (call == OTHER_CALL)
		return 0;
	if (call == CALL_IOCTL) {
		if (ret < 0)
			ioctl_fails(ctx_of_fd(task, REGS_ARG0(regs, compat)), REGS_ARG1(regs, compat), ret);
		else if ((__u32)REGS_ARG1(regs, compat) == UFFDIO_API)
			learn_ctx((__u64)ctx_of_fd(task, REGS_ARG0(regs, compat)));
		return 0;
	}
	if (ret > 0 && ret % sizeof(struct uffd_msg) == 0)
		read_ends(task, regs, call == CALL_READV, ret);
	return 0;
}
