// SPDX-License-Identifier: GPL-2.0-only
/* The backend sched, first sign: the thread goes to sleep. */
#include "bpf/watch/sched.h"

char _license[] SEC("license") = "GPL";

/*
 * A thread that touches the memory of others: a kernel thread, or one in process_vm_readv(2) or
 * process_vm_writev(2).
 */
static bool may_be_remote(struct task_struct *task)
{
	long nr;

	if (task->flags & PF_KTHREAD)
		return true;
	nr = REGS_SYSCALL(regs_of(task));
	return IS_COMPAT(task) ? nr == COMPAT_VM_READV || nr == COMPAT_VM_WRITEV
			       : nr == NR_VM_READV || nr == NR_VM_WRITEV;
}

enum place {
	NOT_OURS,  /* in memory that is not watched, or that no userfaultfd governs */
	ELSEWHERE, /* not in the queues that were searched */
	IN_QUEUE,
};

/*
 * The current thread in the queues of these userfaultfds, or of all if it may touch the memory of others. Not inlined:
 * the verifier of Linux 6.1 would follow what its loops leave in registers.
 */
static __noinline enum place search(struct ev_ctxs *set, bool all, struct found *ret)
{
	__u64 self = bpf_get_current_task();

	if (set) {
		for (int i = 0; i < EV_MAX_CTXS && set->ctx[i]; i++)
			if (find_in_ctx((void *)set->ctx[i], self, ret))
				return IN_QUEUE;
	}
	for (__u32 i = 0; i < EV_MAX_ALL_CTXS; i++) {
		if (!all || i >= nr_ctxs)
			break;
		if (find_in_ctx((void *)ctxs[i], self, ret))
			return IN_QUEUE;
	}
	return ELSEWHERE;
}

/* Where the current thread sleeps. */
static enum place find(struct task_struct *task, struct found *ret)
{
	__u64 mm = (__u64)task->mm;
	/* The address of a memory that is gone may have been reused. */
	struct ev_ctxs *set = may_be_governed(mm) && is_wanted(mm) ? bpf_map_lookup_elem(&mms, &mm) : NULL;
	bool all = nr_ctxs && may_be_remote(task);

	return set || all ? search(set, all, ret) : NOT_OURS;
}

/*
 * The slot's message was read, but the entry, which is at the same address, has not been read yet. In a loop of the
 * kernel, as of process_vm_readv(2), a thread does not complete page faults.
 */
static bool is_next_page(const struct ev_slot *s, __u32 word, const struct found *found)
{
	struct uffd_msg msg;

	if (!(word & EV_DELIVERY_SEEN) || found->delivered)
		return false;
	/* A reader that was held up may have seen it among those that were read: then it is the same. */
	msg = msg_of(found->uwq);
	return msg.arg.pagefault.address != s->f.addr;
}

/* Is the fault in the slot, current or ended, the one in which the current thread is about to sleep? */
static bool is_asleep_in(const struct ev_slot *s, __u32 word, const struct sign *sign)
{
	const struct found *found = &sign->found;
	const struct thread_marks *marks = &sign->marks;

	switch (ev_slot_state(word)) {
	case EV_FILLING:
	case EV_TAKEN_OVER:
		return true; /* taken by another sign of the same fault */
	case EV_WAITING:
		return !(word & EV_SLEEP_SEEN) && is_same(s, (__u64)found->uwq, marks) && !is_next_page(s, word, found);
	case EV_DONE:
		return !(word & EV_SLEEP_SEEN) && is_same(s, (__u64)found->uwq, marks) && is_waken(found->uwq);
	default:
		return false;
	}
}

/* True: it is counted. */
static bool goes_to_sleep(struct ev_slot *s, struct task_struct *task, struct sign *sign)
{
	sign->now = bpf_ktime_get_ns();
	sign->flags = EV_SLEEP_SEEN | (sign->found.delivered ? EV_DELIVERY_SEEN : 0);
	for (int i = 0; i < MAX_TRIES; i++) {
		__u32 word = WORD(s), state = ev_slot_state(word);

		if (is_asleep_in(s, word, sign)) {
			if (change(s, word, word | EV_SLEEP_SEEN))
				return true;
		} else if (state == EV_WAITING) {
			end_lost(s, word, EV_DONE);
		} else if (state != EV_ENDING && take_slot(s, word, bpf_get_current_task(), sign)) {
			return true;
		}
	}
	return false;
}

/*
 * The reader has removed it from one queue and not yet added it to the other. The last fault of the thread was woken:
 * this is another one.
 */
static bool is_moved(const struct ev_slot *s, struct userfaultfd_wait_queue *uwq, const struct thread_marks *marks)
{
	struct list_head *at = entry_of(uwq);

	return ev_slot_state(WORD(s)) == EV_DONE && s->f.end == EV_WOKEN && marks->completed - s->completed <= 1 &&
	       !is_waken(uwq) && (__u64)BPF_CORE_READ(at, next) == LIST_POISON1;
}

/*
 * While others come and go, the entry may not be found. But usually a thread's entry is at the same address as its
 * last one, and an entry that is linked is in use.
 */
static bool is_where_it_was(const struct ev_slot *s, struct sign *ret)
{
	struct userfaultfd_wait_queue *uwq = (void *)s->uwq;
	struct found *found = &ret->found;
	bool linked;

	if (!uwq || (__u64)BPF_CORE_READ(uwq, wq.private) != bpf_get_current_task())
		return false;
	linked = is_linked(entry_of(uwq));
	if (!linked && !is_moved(s, uwq, &ret->marks))
		return false;
	found->uwq = uwq;
	found->ctx = BPF_CORE_READ(uwq, ctx);
	found->delivered = !linked || is_read((__u64)found->ctx, (__u64)uwq);
	return is_wanted(mm_of(found->ctx));
}

/* Its entry is in a queue, or the waker has removed it. */
static bool is_in_fault(const struct ev_slot *s)
{
	struct userfaultfd_wait_queue *uwq = (void *)s->uwq;
	struct list_head *at = entry_of(uwq);

	if ((__u64)BPF_CORE_READ(uwq, wq.private) != bpf_get_current_task())
		return false;
	return BPF_CORE_READ(at, next) == at ? is_waken(uwq) : is_linked(at);
}

/* The current thread goes to sleep, and its entry was in no queue when they were searched. True: it is in a fault. */
static bool sleeps_apart(struct ev_slot *s, const struct thread_marks *marks)
{
	for (int i = 0; i < MAX_TRIES; i++) {
		__u32 word = WORD(s), state = ev_slot_state(word);

		if (state == EV_IDLE || state == EV_ENDING || state == EV_BEFORE || state == EV_BEFORE_READ)
			return false;
		if (word & EV_SLEEP_SEEN || !is_same(s, s->uwq, marks)) {
			if (state == EV_WAITING)
				end_lost(s, word, EV_DONE);
			return false;
		}
		if (is_in_fault(s) && change(s, word, word | EV_SLEEP_SEEN))
			return true;
	}
	/* Its entry is being moved by a reader that is held up, or it is in the fault no more: its waker will see. */
	return false;
}

/* The slot of the fault in which the current thread goes to sleep, for the first time; NULL: no fault of ours. */
static struct ev_slot *sleeping_slot(struct task_struct *task)
{
	struct sign sign = {};
	enum place place = find(task, &sign.found);
	struct ev_slot *s;

	if (place == NOT_OURS)
		return NULL;
	sign.marks = marks_of(task);
	s = slot_of(task, false);
	if (place == ELSEWHERE && s && is_where_it_was(s, &sign))
		place = IN_QUEUE;
	if (place == ELSEWHERE)
		return s && sleeps_apart(s, &sign.marks) ? s : NULL;
	if (!is_chosen_uwq((__u64)sign.found.uwq))
		return NULL;
	if (!s)
		s = claim_slot((__u64)task);
	return s && goes_to_sleep(s, task, &sign) ? s : NULL;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(thread_sleeps, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ev_slot *s;

	/* A preempted task has the state in which it was about to sleep. */
	if (!active || preempt || !prev_state)
		return 0;
	s = sleeping_slot(task);
	if (!s)
		return 0;
	if (is_streaming())
		s->f.ip = user_ip(task);
	ADD(own_stats()->blocked, 1);
	return 0;
}
