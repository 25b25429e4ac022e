// SPDX-License-Identifier: GPL-2.0-only
/* The backend sched, second sign: the thread is woken. */
#include "bpf/watch/sched.h"

char _license[] SEC("license") = "GPL";

__u32 some_waited; /* threads waited when watching began; set by the loader */

/*
 * A thread that is off its run queue and off its CPU sleeps. sched_switch ran before that; if the slot does not say
 * so, it has not found the thread in its queue. Returns EV_SLEEP_SEEN, to be noted in the slot.
 */
static __u32 sleep_unseen(struct ev_stats *st, __u32 word, struct task_struct *task)
{
	if (word & EV_SLEEP_SEEN || !bpf_core_field_exists(task->on_cpu) || task->on_cpu || task->on_rq)
		return 0;
	ADD(st->blocked, 1);
	return EV_SLEEP_SEEN;
}

/* The thread goes on: set its slot, which we have claimed, to a fault that has ended. */
static void end_woken(struct ev_slot *s, __u32 word, struct task_struct *task, struct task_struct *waker)
{
	struct userfaultfd_wait_queue *uwq = (void *)s->uwq;
	struct ev_stats *st = own_stats();
	__u32 kind = s->f.kind, flags = sleep_unseen(st, word, task);
	bool marked = word & EV_DELIVERY_SEEN;

	s->f.end_ns = bpf_ktime_get_ns();
	s->f.end = EV_SIGNAL;
	if (is_waken(uwq)) {
		set_resolver(&s->f, waker, false);
		note_resolver(&s->f, waker);
	}
	/* Its message may also have been read by a call that has not ended yet. */
	if (!marked && (WORD(s) & EV_DELIVERY_SEEN || is_read(s->f.ctx, (__u64)uwq))) {
		s->f.read_ns = s->f.end_ns;
		flags |= EV_DELIVERY_SEEN;
	}
	s->arrival = task->sched_info.last_arrival;
	count_end(&s->f);
	flags |= publish(s, EV_DONE, flags, s->f.end_ns);
	ADD(nr_taken, -1);
	if (!marked && flags & EV_DELIVERY_SEEN)
		mark_read(st, kind);
}

/* The thread was not seen to sleep in the slot's fault, and is in it no more. */
static bool has_left(const struct ev_slot *s, __u32 word)
{
	struct userfaultfd_wait_queue *uwq = (void *)s->uwq;

	return !(word & EV_SLEEP_SEEN) && !is_waken(uwq) && !is_linked(entry_of(uwq));
}

/* True: the fault of the thread is known and has ended. */
static bool wakes(struct ev_slot *s, struct task_struct *task, struct task_struct *waker)
{
	__u64 ctx;

	for (int i = 0; i < MAX_TRIES; i++) {
		__u32 word = WORD(s);

		switch (ev_slot_state(word)) {
		case EV_BEFORE:
		case EV_BEFORE_READ:
			ctx = s->f.ctx;
			if (!change(s, word, EV_IDLE))
				continue;
			if (ev_slot_state(word) == EV_BEFORE)
				discount(ctx, s->task);
			return true;
		case EV_WAITING:
			if (s->completed != task->min_flt + task->maj_flt || has_left(s, word)) {
				end_lost(s, word, EV_DONE);
				continue;
			}
			if (!change(s, word, word - EV_WAITING + EV_FILLING))
				continue;
			end_woken(s, word, task, waker);
			return true;
		default:
			return false;
		}
	}
	return false;
}

/* The CPU that ends an old fault of the slot needs only an instant. */
#define MAX_SPINS 256

static __u32 settled_word(struct ev_slot *s)
{
	__u32 word = WORD(s);

	for (int i = 0; i < MAX_SPINS && ev_slot_state(word) == EV_ENDING; i++)
		word = WORD(s);
	return word;
}

/* The same as take_over(); negative: the word changed, try again. */
static __noinline int try_take_over(struct ev_slot *s, struct task_struct *task, struct task_struct *waker,
				    struct sign *sign)
{
	__u32 word = settled_word(s), flags = sign->found.delivered ? EV_DELIVERY_SEEN : 0;

	switch (ev_slot_state(word)) {
	case EV_FILLING:
		return change(s, word, (word & ~EV_STATE_MASK) | flags | EV_TAKEN_OVER) ? 1 : -1;
	case EV_IDLE:
	case EV_DONE:
		if (!change(s, word, next_word(word)))
			return -1;
		set_marks(s, sign);
		s->f.end = EV_WOKEN;
		publish(s, EV_DONE, flags | sleep_unseen(own_stats(), 0, task), 0);
		return 1;
	default:
		return wakes(s, task, waker) ? 0 : -1;
	}
}

/*
 * The thread was woken before another sign of the fault was seen. True: we count it; its slot will show whether it
 * has slept or is about to. Not written as a loop: the verifier of Linux 6.1 refuses the loop that the compiler
 * makes.
 */
static bool take_over(struct ev_slot *s, struct task_struct *task, struct task_struct *waker, struct sign *sign)
{
	int r = try_take_over(s, task, waker, sign);

	if (r < 0)
		r = try_take_over(s, task, waker, sign);
	if (r < 0)
		r = try_take_over(s, task, waker, sign);
	return r != 0;
}

/* Too large for the stack. The kernel runs a program only once at a time on a CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ev_fault);
} early SEC(".maps");

static void count_woken_early(struct ev_stats *st, struct task_struct *task, struct task_struct *waker,
			      const struct found *found)
{
	__u32 zero = 0;
	struct ev_fault *f = bpf_map_lookup_elem(&early, &zero);

	if (!f)
		return;
	fill(f, task, found, bpf_ktime_get_ns());
	f->end_ns = f->start_ns;
	f->unmeasured = 1;
	f->thread = f->team = 0;
	set_resolver(f, waker, false);
	note_resolver(f, waker);
	count_fault(st, f);
	if (found->delivered)
		mark_read(st, f->kind);
	count_end(f);
}

/*
 * No sign of the fault was seen before. Only an ioctl on a range wakes so early: search its userfaultfd.
 * @number: the task's address
 */
static void woken_early(struct task_struct *task, __u64 number, struct task_struct *waker)
{
	struct ev_stats *st = own_stats();
	struct sign sign = {};
	unsigned int fd;
	struct ev_slot *s;

	/* Until all earlier waiters are known, this may be one of them. */
	if (!all_seen)
		return;
	fd = REGS_ARG0(regs_of(waker), IS_COMPAT(waker));
	if (!find_in_ctx(ctx_of_fd(waker, fd), number, &sign.found) || !is_waken(sign.found.uwq))
		return;
	if (!is_wanted(mm_of(sign.found.ctx)) || !is_chosen_uwq((__u64)sign.found.uwq))
		return;
	sign.marks = marks_of(task);
	s = slot_of(task, true);
	if (s && take_over(s, task, waker, &sign))
		count_woken_early(st, (void *)number, waker, &sign.found);
}

SEC("tp_btf/sched_waking")
int BPF_PROG(thread_is_woken, struct task_struct *task)
{
	struct task_struct *waker = bpf_get_current_task_btf();
	struct ev_slot *s;

	if (!active)
		return 0;
	s = nr_taken || some_waited ? slot_of(task, false) : NULL;
	if (s && wakes(s, task, waker))
		return 0;
	if (IOC_TYPE(ioctl_of(waker)) == UFFDIO)
		woken_early(task, first_argument(ctx), waker);
	return 0;
}
