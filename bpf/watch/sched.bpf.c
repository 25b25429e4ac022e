// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults by stable tracepoints alone, where neither fentry nor kprobes can be had.
 *
 * A fault shows in up to three signs, on several CPUs at once:
 *  1. its thread goes to sleep with an entry in a queue of a userfaultfd (sched_switch);
 *  2. the thread is woken (sched_waking), most often by a range operation;
 *  3. its message is read (sys_exit of read and its kin).
 * They come in any order: a thread is off its run queue, and can be woken, before sched_switch tells
 * that it sleeps. The first sign that takes the thread's slot counts the fault; what the others add is
 * noted in the slot's word, also when the fault has ended (EV_DONE). A thread's slot is that of its
 * present fault if it has completed no page fault since, and not slept but for this once.
 *
 * Some faults show in no sign: the page was there before the thread slept, and the thread has left the
 * queue when the reader's call ends. Readers count messages, and faults are marked when their message
 * is known to be read: what is left of the one when the other is taken off are those faults.
 */
#include "bpf/watch/common.h"

#define MAX_ALL_CTXS 64

/* Set by the loader. */
__u32 active; /* a userfaultfd has been seen: until then nothing can fault */
__u32 nr_ctxs;
__u64 ctxs[MAX_ALL_CTXS];

__u32 nr_before;

struct ctx_set {
	__u64 ctx[EV_MAX_CTXS];
};

/* Memories that are governed, by mm. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct ctx_set);
} mms SEC(".maps");

/* ---- whose faults these may be ---- */

/* Who touches the memory of others: kernel threads, process_vm_readv(2). */
static bool may_be_remote(struct task_struct *task)
{
	struct pt_regs *regs;
	long nr;

	if (task->flags & PF_KTHREAD)
		return true;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	nr = REGS_SYSCALL(regs);
	return IS_COMPAT(task) ? nr == COMPAT_VM_READV || nr == COMPAT_VM_WRITEV
			       : nr == NR_VM_READV || nr == NR_VM_WRITEV;
}

enum place {
	NOT_OURS,  /* in memory that no userfaultfd governs */
	ELSEWHERE, /* in none of the queues that were searched */
	IN_QUEUE,
};

/* The current one. */
static enum place find(struct task_struct *task, struct found *ret)
{
	__u64 self = bpf_get_current_task(), mm = (__u64)task->mm;
	/* The address of a memory that is gone may be another's by now. */
	struct ctx_set *set = is_wanted(mm) ? bpf_map_lookup_elem(&mms, &mm) : NULL;

	if (set) {
		for (int i = 0; i < EV_MAX_CTXS && set->ctx[i]; i++)
			if (find_in_ctx((void *)set->ctx[i], self, ret))
				return IN_QUEUE;
	}
	if (!nr_ctxs || !may_be_remote(task))
		return set ? ELSEWHERE : NOT_OURS;
	for (__u32 i = 0; i < MAX_ALL_CTXS; i++) {
		if (i >= nr_ctxs)
			break;
		if (find_in_ctx((void *)ctxs[i], self, ret))
			return IN_QUEUE;
	}
	return ELSEWHERE;
}

/* ---- taking slots ---- */

/* Each of the other signs changes a word once: so often it is tried. */
#define MAX_TRIES 4

#define WORD(s) (*(volatile __u32 *)&(s)->state)

/* What of a thread differs from one of its faults to the next. */
struct thread_marks {
	__u64 completed; /* page faults */
	__u64 switches;	 /* of its own will */
};

/* What a sign tells of a fault. */
struct sign {
	struct found found;
	struct thread_marks marks;
	__u64 now;
	__u32 flags; /* EV_READ, EV_SLEPT */
};

static void fill(struct ev_fault *f, struct task_struct *task, const struct found *found, __u64 now)
{
	struct userfaultfd_wait_queue *uwq = found->uwq;
	struct userfaultfd_ctx *ctx = found->ctx;
	struct uffd_msg msg = {};

	bpf_core_read(&msg, sizeof(msg), &uwq->msg);
	f->start_ns = now;
	f->end_ns = 0;
	f->read_ns = 0;
	f->ctx = (__u64)ctx;
	f->mm = mm_of(ctx);
	f->addr = msg.arg.pagefault.address;
	f->flags = msg.arg.pagefault.flags;
	f->kind = kind_of(f->flags);
	f->ip = 0;
	f->resolver_pid = 0;
	f->resolver_tid = 0;
	f->op = EV_OP_NONE;
	f->unmeasured = 0;
	set_thread(f, task);
}

static void set_marks(struct ev_slot *s, const struct sign *sign)
{
	s->uwq = (__u64)sign->found.uwq;
	s->completed = sign->marks.completed;
	s->switches = sign->marks.switches;
	s->arrival = 0;
}

/* Is the slot's fault the one that the thread is in? It is in one with this entry. */
static bool is_same(const struct ev_slot *s, __u64 uwq, const struct thread_marks *marks)
{
	/* It sleeps once, and who took the slot saw it before or after. */
	return s->uwq == uwq && s->completed == marks->completed && marks->switches - s->switches <= 1;
}

static bool is_waken(struct userfaultfd_wait_queue *uwq)
{
	return BPF_CORE_READ(uwq, waken);
}

/* Until all who waited before are known, readers' own count is not used: what is marked is what was read. */
static void mark_read(struct ev_stats *st, __u32 kind)
{
	ADD(st->marked[kind & 3], 1);
	if (!config.all_seen)
		ADD(st->messages[kind & 3], 1);
}

/* Who ends an old fault of the slot does so in an instant. */
#define MAX_SPINS 256

static __u32 settled_word(struct ev_slot *s)
{
	__u32 word = WORD(s);

	for (int i = 0; i < MAX_SPINS && state_of(word) == EV_ENDING; i++)
		word = WORD(s);
	return word;
}

static bool change(struct ev_slot *s, __u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&s->state, from, to) == from;
}

/*
 * A slot that is being filled is so no more. Returns its word before, with what others have noted meanwhile: when its
 * message was read, if it was, is not for them to write, and is now.
 */
static __u32 publish(struct ev_slot *s, __u32 state, __u32 flags, __u64 now)
{
	__u32 word = 0, to;

	for (int i = 0; i < MAX_TRIES; i++) {
		word = WORD(s);
		if ((word | flags) & EV_READ && !s->f.read_ns)
			s->f.read_ns = now;
		to = state_of(word) == EV_TAKEN_OVER ? EV_DONE : state;
		if (change(s, word, (word & ~EV_STATE_MASK) | flags | to))
			break;
	}
	return word;
}

/* The word of a slot that is taken for another fault. */
static __u32 next_word(__u32 word)
{
	return (word & -EV_NEXT) + EV_NEXT + EV_FILLING;
}

/* True: the slot was had, and the fault is counted, if not by us by the waker who took it over. */
static bool take(struct ev_slot *s, __u32 word, struct task_struct *task, const struct sign *sign)
{
	struct ev_stats *st = own_stats();
	__u32 kind, flags = sign->flags;

	if (!st)
		return false;
	/* Before it is there to be found. */
	ADD(nr_taken, 1);
	if (!change(s, word, next_word(word))) {
		ADD(nr_taken, -1);
		return false;
	}
	fill(&s->f, task, &sign->found, sign->now);
	set_marks(s, sign);
	kind = s->f.kind;
	/* It was read before all was known, or before we were there: no reader has counted that. */
	if (state_of(word) == EV_BEFORE_READ && flags & EV_READ && config.all_seen)
		ADD(st->messages[kind & 3], 1);
	word = publish(s, EV_WAITING, flags, sign->now);
	if (state_of(word) == EV_TAKEN_OVER) {
		ADD(nr_taken, -1);
		return true;
	}
	ADD(st->faults[kind & 3], 1);
	if ((word | flags) & EV_READ)
		mark_read(st, kind);
	return true;
}

/* ---- the first sign ---- */

/*
 * Is the entry of this struct userfaultfd_wait_queue in the queue of those that were read? Whoever wakes takes them out
 * from the front, so that the head is near on one side or the other.
 */
__noinline int is_read(__u64 ctx, __u64 uwq)
{
	__u64 read = ctx + bpf_core_field_offset(struct userfaultfd_ctx, fault_wqh) +
		     bpf_core_field_offset(struct wait_queue_head, head);
	__u64 queued = ctx + bpf_core_field_offset(struct userfaultfd_ctx, fault_pending_wqh) +
		       bpf_core_field_offset(struct wait_queue_head, head);
	struct list_head *next = (void *)uwq + bpf_core_field_offset(struct userfaultfd_wait_queue, wq) +
				 bpf_core_field_offset(struct wait_queue_entry, entry);
	struct list_head *prev = next;

	for (int i = 0; i < DEPTH; i++) {
		next = BPF_CORE_READ(next, next);
		prev = BPF_CORE_READ(prev, prev);
		if ((__u64)next == read || (__u64)prev == read)
			return true;
		if ((__u64)next == queued || (__u64)prev == queued)
			return false;
	}
	return false;
}

static struct file *file_of_fd(struct task_struct *task, unsigned int fd)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct file **fds, *file = NULL;

	if (fd >= BPF_CORE_READ(fdt, max_fds))
		return NULL;
	fds = BPF_CORE_READ(fdt, fd);
	bpf_probe_read_kernel(&file, sizeof(file), fds + fd);
	return file;
}

static struct userfaultfd_ctx *ctx_of_fd(struct task_struct *task, unsigned int fd)
{
	struct file *file = file_of_fd(task, fd);

	if (!file || (__u64)BPF_CORE_READ(file, f_op) != config.fops)
		return NULL;
	return BPF_CORE_READ(file, private_data);
}

static bool is_queued_still(const struct found *found)
{
	struct found again = {};

	return find_in_ctx(found->ctx, bpf_get_current_task(), &again) && !again.delivered;
}

/* Is that which the slot has, or had, the fault that the current thread is about to sleep in? */
static bool is_asleep_in(const struct ev_slot *s, __u32 word, const struct sign *sign)
{
	const struct found *found = &sign->found;
	const struct thread_marks *marks = &sign->marks;

	switch (state_of(word)) {
	case EV_FILLING:
	case EV_TAKEN_OVER:
		return true; /* by another sign of it */
	case EV_WAITING:
		/* One whose message was read is not queued; but it may have been read since it was found. */
		return !(word & EV_SLEPT) && is_same(s, (__u64)found->uwq, marks) &&
		       !(word & EV_READ && !found->delivered && is_queued_still(found));
	case EV_DONE:
		return !(word & EV_SLEPT) && is_same(s, (__u64)found->uwq, marks) && is_waken(found->uwq);
	default:
		return false;
	}
}

/* True: it is counted. */
static bool goes_to_sleep(struct ev_slot *s, struct task_struct *task, struct sign *sign)
{
	sign->now = bpf_ktime_get_ns();
	sign->flags = EV_SLEPT | (sign->found.delivered ? EV_READ : 0);
	for (int i = 0; i < MAX_TRIES; i++) {
		__u32 word = WORD(s);

		if (is_asleep_in(s, word, sign)) {
			if (change(s, word, word | EV_SLEPT))
				return true;
		} else if (state_of(word) == EV_WAITING) {
			end_unseen(s, word, EV_DONE);
		} else if (state_of(word) != EV_ENDING && take(s, word, task, sign)) {
			return true;
		}
	}
	return false;
}

static struct list_head *entry_of(struct userfaultfd_wait_queue *uwq)
{
	return (void *)uwq + bpf_core_field_offset(struct userfaultfd_wait_queue, wq) +
	       bpf_core_field_offset(struct wait_queue_entry, entry);
}

/* As list_del() leaves it. */
#define LIST_POISON1 0xdead000000000100

static bool is_linked(struct list_head *at)
{
	struct list_head *next = BPF_CORE_READ(at, next);

	return next != at && BPF_CORE_READ(next, prev) == at;
}

/* Its reader has it out of one queue and not in the other, and its last fault was woken: this is another. */
static bool is_moved(const struct ev_slot *s, struct userfaultfd_wait_queue *uwq, const struct thread_marks *marks)
{
	struct list_head *at = entry_of(uwq);

	return state_of(WORD(s)) == EV_DONE && s->f.end == EV_WOKEN && marks->completed - s->completed <= 1 &&
	       !is_waken(uwq) && (__u64)BPF_CORE_READ(at, next) == LIST_POISON1;
}

/*
 * While others come and go it may not be found. But a thread's entry most often lies where its last one did, and one
 * that is linked is in use.
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
	return true;
}

/* Its entry was taken out by whoever woke it. */
static bool is_taken_out(const struct ev_slot *s)
{
	struct userfaultfd_wait_queue *uwq = (void *)s->uwq;
	struct list_head *at = entry_of(uwq);

	return (__u64)BPF_CORE_READ(uwq, wq.private) == bpf_get_current_task() && BPF_CORE_READ(at, next) == at &&
	       is_waken(uwq);
}

/* The current thread goes to sleep, and its entry is in no queue. True: in a fault all the same. */
static bool sleeps_apart(struct ev_slot *s, const struct thread_marks *marks)
{
	for (int i = 0; i < MAX_TRIES; i++) {
		__u32 word = WORD(s), state = state_of(word);

		if (state == EV_IDLE || state == EV_ENDING || state == EV_BEFORE || state == EV_BEFORE_READ)
			return false;
		if (!(word & EV_SLEPT) && is_same(s, s->uwq, marks) && is_taken_out(s)) {
			if (change(s, word, word | EV_SLEPT))
				return true;
			continue;
		}
		if (state == EV_WAITING)
			end_unseen(s, word, EV_DONE);
		return false;
	}
	return false;
}

SEC("tp_btf/sched_switch")
int sched_switch(__u64 *args)
{
	bool preempt = args[0];
	struct task_struct *prev = (void *)args[1];
	unsigned int prev_state = args[3];
	struct sign sign = {};
	struct ev_stats *st;
	struct pt_regs *regs;
	struct ev_slot *s;
	enum place place;

	/* A preempted task shows the state that it was about to sleep in. */
	if (!active || preempt || !prev_state)
		return 0;
	prev = bpf_get_current_task_btf();
	place = find(prev, &sign.found);
	if (place == NOT_OURS)
		return 0;
	sign.marks = (struct thread_marks){ prev->min_flt + prev->maj_flt, prev->nvcsw };
	s = slot_of(prev, false);
	if (place == ELSEWHERE && s && is_where_it_was(s, &sign))
		place = IN_QUEUE;
	if (place == IN_QUEUE && !is_chosen_uwq((__u64)sign.found.uwq))
		return 0;
	if (place == IN_QUEUE && !s)
		s = claim_slot((__u64)prev);
	if (!s)
		return 0;
	if (!(place == IN_QUEUE ? goes_to_sleep(s, prev, &sign) : sleeps_apart(s, &sign.marks)))
		return 0;
	if (config.stream) {
		regs = (struct pt_regs *)bpf_task_pt_regs(prev);
		s->f.ip = REGS_IP(regs);
	}
	st = own_stats();
	if (st)
		ADD(st->blocked, 1);
	return 0;
}

/* ---- the second sign ---- */

/* One that waited before: its message is not to be among those that are counted. */
static void discount(__u64 ctx, __u64 task)
{
	struct userfaultfd_wait_queue *uwq;
	struct ev_stats *st = own_stats();
	struct found found = {};
	struct uffd_msg msg = {};

	if (!st || !config.all_seen || !find_in_ctx((void *)ctx, task, &found) || !found.delivered)
		return;
	if (!is_chosen_uwq((__u64)found.uwq))
		return;
	uwq = found.uwq;
	bpf_core_read(&msg, sizeof(msg), &uwq->msg);
	ADD(st->messages[kind_of(msg.arg.pagefault.flags) & 3], -1);
}

/*
 * Off its run queue and off its CPU, a thread sleeps: sched_switch was before that, and has not found it in its queue
 * if the slot does not have it. EV_SLEPT, to be noted there.
 */
static __u32 sleep_unseen(struct ev_stats *st, __u32 word, struct task_struct *task)
{
	if (!st || word & EV_SLEPT || !bpf_core_field_exists(task->on_cpu) || task->on_cpu || task->on_rq)
		return 0;
	ADD(st->blocked, 1);
	return EV_SLEPT;
}

/* The thread goes on: its slot, which is ours, is that of a fault that has ended. */
static void end_woken(struct ev_slot *s, __u32 word, struct task_struct *task, struct task_struct *waker)
{
	struct userfaultfd_wait_queue *uwq = (void *)s->uwq;
	struct ev_stats *st = own_stats();
	__u32 kind = s->f.kind, flags = sleep_unseen(st, word, task);
	bool marked = word & EV_READ;

	s->f.end_ns = bpf_ktime_get_ns();
	s->f.end = EV_SIGNAL;
	if (is_waken(uwq))
		set_resolver(&s->f, waker, false);
	/* Also by a call that has not come to its end. */
	if (!marked && (WORD(s) & EV_READ || is_read(s->f.ctx, (__u64)uwq))) {
		s->f.read_ns = s->f.end_ns;
		flags |= EV_READ;
	}
	s->arrival = task->sched_info.last_arrival;
	count_end(&s->f);
	flags |= publish(s, EV_DONE, flags, s->f.end_ns);
	ADD(nr_taken, -1);
	if (st && !marked && flags & EV_READ)
		mark_read(st, kind);
}

/* True: the thread's fault is known, and has ended. */
static bool wakes(struct ev_slot *s, struct task_struct *task, struct task_struct *waker)
{
	__u64 ctx;

	for (int i = 0; i < MAX_TRIES; i++) {
		__u32 word = WORD(s);

		switch (state_of(word)) {
		case EV_BEFORE:
		case EV_BEFORE_READ:
			ctx = s->f.ctx;
			if (!change(s, word, EV_IDLE))
				continue;
			if (state_of(word) == EV_BEFORE)
				discount(ctx, s->task);
			return true;
		case EV_WAITING:
			if (s->completed != task->min_flt + task->maj_flt) {
				end_unseen(s, word, EV_DONE);
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

/*
 * Woken before a sign of the fault was seen that leads to its slot. True: it is ours to count, and what it has slept by
 * then, or is about to, its slot will tell.
 */
/* Negative: the word changed, try again. */
static __noinline int try_take_over(struct ev_slot *s, struct task_struct *task, struct task_struct *waker,
				    struct sign *sign)
{
	__u32 word = settled_word(s), flags = sign->found.delivered ? EV_READ : 0;

	switch (state_of(word)) {
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

/* No loop: the verifier of Linux 6.1 refuses it as it would be laid out. */
static bool take_over(struct ev_slot *s, struct task_struct *task, struct task_struct *waker, struct sign *sign)
{
	int r = try_take_over(s, task, waker, sign);

	if (r < 0)
		r = try_take_over(s, task, waker, sign);
	if (r < 0)
		r = try_take_over(s, task, waker, sign);
	return r != 0;
}

/* Only a range operation does that, and the thread is looked for in its userfaultfd. */
static void woken_early(__u64 *args, struct task_struct *task, struct task_struct *waker)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(waker);
	struct ev_stats *st = own_stats();
	__u32 cmd = ioctl_of(waker);
	struct task_struct *number;
	struct ev_fault f = {};
	struct sign sign = {};
	struct ev_slot *s;

	/* Until all who waited before are known, this may be one of them. */
	if (IOC_TYPE(cmd) != UFFDIO || !st || !config.all_seen)
		return;
	/* The task as a number. */
	bpf_probe_read_kernel(&number, sizeof(number), args);
	if (!find_in_ctx(ctx_of_fd(waker, REGS_ARG0(regs, IS_COMPAT(waker))), (__u64)number, &sign.found) ||
	    !is_waken(sign.found.uwq))
		return;
	if (!is_wanted(mm_of(sign.found.ctx)) || !is_chosen_uwq((__u64)sign.found.uwq))
		return;
	sign.marks = (struct thread_marks){ task->min_flt + task->maj_flt, task->nvcsw };
	s = slot_of(task, true);
	if (!s || !take_over(s, task, waker, &sign))
		return;
	fill(&f, number, &sign.found, bpf_ktime_get_ns());
	f.end_ns = f.start_ns;
	f.unmeasured = 1;
	set_resolver(&f, waker, false);
	count_fault(&f);
	if (sign.found.delivered)
		mark_read(st, f.kind);
	count_end(&f);
}

SEC("tp_btf/sched_waking")
int sched_waking(__u64 *args)
{
	struct task_struct *task = (void *)args[0], *waker = bpf_get_current_task_btf();
	struct ev_slot *s;

	if (!active)
		return 0;
	s = nr_taken || nr_before ? slot_of(task, false) : NULL;
	if (!s || !wakes(s, task, waker))
		woken_early(args, task, waker);
	return 0;
}

/* ---- the third sign ---- */

struct delivery {
	struct userfaultfd_ctx *ctx;
	struct list_head *head, *at, *from; /* from: whence at was reached */
	struct list_head *queued;	    /* the other queue's head */
	struct ev_stats *st;
	__u64 now;
	__u32 nr_left; /* messages */
	__u32 depth;   /* entries from the head to at */
};

/* A thread that has left the queue since, and is in another fault, has its entry at the same place. */
static bool is_still_there(const struct delivery *d)
{
	struct list_head *from = d->from;

	return BPF_CORE_READ(from, next) == d->at;
}

/* Has its fault ended? Who was woken by a signal may not have run since, and be in the queue. */
static bool has_ended(const struct ev_slot *s, const struct sign *sign, __u64 arrival)
{
	return is_same(s, (__u64)sign->found.uwq, &sign->marks) && (is_waken(sign->found.uwq) || s->arrival == arrival);
}

/* Marks a fault whose message was read. True: it was marked already. */
static bool deliver_to(struct ev_slot *s, struct task_struct *task, struct sign *sign, const struct delivery *d)
{
	struct ev_stats *st = d->st;

	for (int i = 0; i < MAX_TRIES; i++) {
		__u32 word = WORD(s), kind;

		/* Between the two it has been in one fault, or its word has changed. */
		if (!is_still_there(d))
			return false;
		sign->marks.completed = BPF_CORE_READ(task, min_flt) + BPF_CORE_READ(task, maj_flt);
		sign->marks.switches = BPF_CORE_READ(task, nvcsw);
		if (!is_still_there(d))
			return false;
		switch (state_of(word)) {
		case EV_BEFORE:
			if (change(s, word, EV_BEFORE_READ)) {
				discount((__u64)sign->found.ctx, (__u64)task);
				return false;
			}
			continue;
		case EV_BEFORE_READ:
		case EV_TAKEN_OVER:
			return true;
		case EV_ENDING:
			continue;
		case EV_FILLING:
			/* Who fills it marks it. */
			if (word & EV_READ)
				return true;
			if (change(s, word, word | EV_READ))
				return false;
			continue;
		case EV_WAITING:
			if (s->completed != sign->marks.completed) {
				end_unseen(s, word, EV_DONE);
				continue;
			}
			if (word & EV_READ)
				return true;
			kind = s->f.kind;
			s->f.read_ns = sign->now;
			if (!change(s, word, word | EV_READ))
				continue;
			mark_read(st, kind);
			return false;
		case EV_DONE:
			if (!has_ended(s, sign, BPF_CORE_READ(task, sched_info.last_arrival)))
				break;
			if (word & EV_READ)
				return true;
			kind = s->f.kind;
			if (!change(s, word, word | EV_READ))
				continue;
			mark_read(st, kind);
			return false;
		default:
			break;
		}
		/* While it is looked who waited before: its thread sleeps, or will show when it does. */
		if (!config.all_seen) {
			if (change(s, word, EV_BEFORE_READ))
				return false;
		} else if (take(s, word, task, sign)) {
			return false;
		}
	}
	return false;
}

static bool deliver(struct delivery *d, struct userfaultfd_wait_queue *uwq)
{
	struct sign sign = {
		.found = { .uwq = uwq, .ctx = d->ctx, .delivered = true },
		.now = d->now,
		.flags = EV_READ,
	};
	struct task_struct *task = BPF_CORE_READ(uwq, wq.private);
	struct ev_slot *s;

	if (!task || !is_chosen_uwq((__u64)uwq))
		return false;
	s = find_slot((__u64)task);
	if (!s)
		s = take_place((__u64)task);
	if (s)
		return deliver_to(s, task, &sign, d);
	/* It is missed, which is counted when it sleeps. */
	no_room = 1;
	return false;
}

/* From an entry that has been taken out, or is in the other queue by now, none that was read is reached. */
static bool is_astray(const struct delivery *d, struct list_head *at)
{
	if (d->at == d->head)
		return false;
	return !at || at == d->at || at == d->queued || (__u64)at == LIST_POISON1 ||
	       (d->depth < DEPTH && !is_read((__u64)d->ctx, (__u64)uwq_of(at)));
}

/* The newest entries of fault_wqh are those that were just read, by this reader and by others. */
static long deliver_next(__u32 i, struct delivery *d)
{
	struct list_head *from = d->at, *at = BPF_CORE_READ(from, next);
	bool was_marked;

	if (at == d->head)
		return 1;
	if (is_astray(d, at)) {
		/* Anew, past those that are marked. */
		d->at = d->head;
		d->nr_left = DEPTH;
		d->depth = 0;
		return 0;
	}
	d->from = from;
	d->at = at;
	d->depth++;
	was_marked = deliver(d, uwq_of(at));
	if (d->nr_left)
		d->nr_left--;
	return was_marked && !d->nr_left;
}

/* What was read, as it lies in the reader's buffers. */
struct messages {
	const void *iov; /* the next one; NULL: there is none */
	const void *at;	 /* in this one */
	__u64 len;	 /* that is left of it */
	__u64 left;	 /* of all */
	__u32 have;	 /* bytes of this message */
	__u32 compat;
	__u64 msg[8]; /* struct uffd_msg, and room for what the verifier thinks of */
};

/* On the stack, the verifier would follow what is left through all of its values. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct messages);
} being_counted SEC(".maps");

static long next_buffer(struct messages *m)
{
	__u64 pair[2] = {};
	__u32 half[2] = {};

	if (!m->iov)
		return 1;
	if (m->compat) {
		if (bpf_probe_read_user(half, sizeof(half), m->iov))
			return 1;
		m->at = (void *)(__u64)half[0];
		m->len = half[1];
		m->iov += sizeof(half);
		return 0;
	}
	if (bpf_probe_read_user(pair, sizeof(pair), m->iov))
		return 1;
	m->at = (void *)pair[0];
	m->len = pair[1];
	m->iov += sizeof(pair);
	return 0;
}

/* Not static: verified once. */
__noinline int is_chosen_message(__u64 flags, __u64 addr)
{
	return !has_choice() || is_chosen(flags, addr);
}

static void count_message(const struct messages *m)
{
	struct ev_stats *st = own_stats();

	if (st && (m->msg[0] & 0xff) == UFFD_EVENT_PAGEFAULT && is_chosen_message(m->msg[1], m->msg[2]))
		ADD(st->messages[kind_of(m->msg[1]) & 3], 1);
}

/* A message may lie in several buffers: one piece of it, or the next buffer. */
static long count_piece(__u32 i, void *unused)
{
	__u32 zero = 0;
	struct messages *m = bpf_map_lookup_elem(&being_counted, &zero);
	__u64 have, len;

	if (!m || !m->left)
		return 1;
	have = m->have & 31;
	len = m->len;
	if (!len)
		return next_buffer(m);
	if (len > sizeof(struct uffd_msg) - have)
		len = sizeof(struct uffd_msg) - have;
	/* The verifier of Linux 6.1 does not see that by itself, and the compiler does. */
	asm volatile("" : "+r"(len));
	if (len > sizeof(struct uffd_msg) || bpf_probe_read_user((void *)m->msg + have, len, m->at))
		return 1;
	m->at += len;
	m->len -= len;
	m->have = have + len;
	if (m->have < sizeof(struct uffd_msg))
		return 0;
	m->have = 0;
	m->left -= sizeof(struct uffd_msg);
	count_message(m);
	return !m->left;
}

static void deliver_all(struct userfaultfd_ctx *ctx, __u32 nr)
{
	struct delivery d = { .ctx = ctx, .st = own_stats(), .now = bpf_ktime_get_ns(), .nr_left = nr };

	if (!d.st)
		return;
	d.head = &ctx->fault_wqh.head;
	d.queued = &ctx->fault_pending_wqh.head;
	d.at = d.head;
	bpf_loop(nr + DEPTH, deliver_next, &d, 0);
}

/* ---- which userfaultfds there are ---- */

/* Closed, or used again by another memory since. */
static bool is_gone(__u64 ctx, __u64 mm)
{
	return !ctx || is_released(ctx) || mm_of((void *)ctx) != mm;
}

static void add_ctx(struct ctx_set *set, __u64 mm, __u64 ctx)
{
	for (int i = 0; i < EV_MAX_CTXS; i++)
		if (set->ctx[i] == ctx)
			return;
	for (int i = 0; i < EV_MAX_CTXS; i++)
		if (is_gone(set->ctx[i], mm)) {
			set->ctx[i] = ctx;
			return;
		}
	/* More than there is room for: the loader, who finds it too, says so. */
}

static void learn_ctx(struct userfaultfd_ctx *ctx)
{
	struct ctx_set *set, fresh = {};
	__u64 mm = mm_of(ctx);

	/* Before the table: whoever sees it there must not be turned away. */
	active = 1;
	if (!ctx || !is_wanted(mm))
		return;
	set = bpf_map_lookup_elem(&mms, &mm);
	if (set) {
		add_ctx(set, mm, (__u64)ctx);
		return;
	}
	fresh.ctx[0] = (__u64)ctx;
	bpf_map_update_elem(&mms, &mm, &fresh, BPF_NOEXIST);
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

/* A read of the current task has come to an end. */
static void read_ends(struct task_struct *task, struct pt_regs *regs, bool vector, long bytes)
{
	bool compat = IS_COMPAT(task), all_seen = config.all_seen;
	struct userfaultfd_ctx *ctx = ctx_of_fd(task, REGS_ARG0(regs, compat));
	const void *buf = (void *)REGS_ARG1(regs, compat);
	__u32 nr = bytes / sizeof(struct uffd_msg), zero = 0;
	struct messages *m = bpf_map_lookup_elem(&being_counted, &zero);

	if (!ctx || !m || !is_wanted(mm_of(ctx)))
		return;
	/* Before they are counted: of what is counted and not marked, no other sign will come. */
	deliver_all(ctx, nr);
	m->iov = vector ? buf : NULL;
	m->at = vector ? NULL : buf;
	m->len = vector ? 0 : bytes;
	m->left = bytes;
	m->have = 0;
	m->compat = compat;
	if (all_seen)
		bpf_loop(vector ? nr + 2 * REGS_ARG2(regs) : nr, count_piece, NULL, 0);
}

SEC("tp_btf/sys_exit")
int sys_exit(__u64 *args)
{
	struct pt_regs *regs = (void *)args[0];
	struct task_struct *task = bpf_get_current_task_btf();
	long ret = args[1], nr = REGS_SYSCALL(regs);
	bool compat = IS_COMPAT(task);
	enum call call;

	if (ret < 0)
		return 0;
	call = compat ? compat_call_of(nr) : call_of(nr);
	if (call == OTHER_CALL)
		return 0;
	if (call == CALL_IOCTL) {
		if ((__u32)REGS_ARG1(regs, compat) == UFFDIO_API)
			learn_ctx(ctx_of_fd(task, REGS_ARG0(regs, compat)));
		return 0;
	}
	if (ret && ret % sizeof(struct uffd_msg) == 0)
		read_ends(task, regs, call == CALL_READV, ret);
	return 0;
}
