/* SPDX-License-Identifier: GPL-2.0-only */
/* What the programs of all backends share: what is wanted, totals, the stream, threads' slots. */
#ifndef UFFDCTL_BPF_WATCH_COMMON_H
#define UFFDCTL_BPF_WATCH_COMMON_H

#include "bpf/kernel.h"
#include "bpf/event.h"

char _license[] SEC("license") = "GPL";

/* System calls, also as 32-bit programs make them. */
#if defined(__TARGET_ARCH_x86)
#define IS_COMPAT(task) ((task)->thread_info.status & 2) /* TS_COMPAT */
#define REGS_IP(regs) ((regs)->ip)
#define REGS_SYSCALL(regs) ((long)(regs)->orig_ax)
#define REGS_ARG0(regs, compat) ((compat) ? (regs)->bx : (regs)->di)
#define REGS_ARG1(regs, compat) ((compat) ? (regs)->cx : (regs)->si)
#define REGS_ARG2(regs) ((regs)->dx)
enum {
	NR_READ = 0,
	NR_IOCTL = 16,
	NR_READV = 19,
	NR_PREADV = 295,
	NR_PREADV2 = 327,
	NR_VM_READV = 310,
	NR_VM_WRITEV = 311,
	COMPAT_VM_READV = 347,
	COMPAT_VM_WRITEV = 348,
	COMPAT_PREADV = 333,
	COMPAT_PREADV2 = 378,
};
#elif defined(__TARGET_ARCH_arm64)
#define IS_COMPAT(task) ((task)->thread_info.flags & 1 << 22) /* TIF_32BIT */
#define REGS_IP(regs) ((regs)->pc)
#define REGS_SYSCALL(regs) ((long)(regs)->syscallno)
#define REGS_ARG0(regs, compat) ((regs)->orig_x0)
#define REGS_ARG1(regs, compat) ((regs)->regs[1])
#define REGS_ARG2(regs) ((regs)->regs[2])
enum {
	NR_READ = 63,
	NR_IOCTL = 29,
	NR_READV = 65,
	NR_PREADV = 69,
	NR_PREADV2 = 286,
	NR_VM_READV = 270,
	NR_VM_WRITEV = 271,
	COMPAT_VM_READV = 376,
	COMPAT_VM_WRITEV = 377,
	COMPAT_PREADV = 361,
	COMPAT_PREADV2 = 392,
};
#endif

enum {
	COMPAT_READ = 3,
	COMPAT_IOCTL = 54,
	COMPAT_READV = 145,
};

#define IOC_TYPE(cmd) (((cmd) >> 8) & 0xff)
#define IOC_NR(cmd) ((cmd)&0xff)

struct ev_watch_config config;

/* Programs on one CPU may interrupt each other. */
#define ADD(counter, n) ((void)__sync_fetch_and_add(&(counter), n))

/* ---- whose faults ---- */

/* With some_only: memories to watch, and how many of those processes have each. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} memories SEC(".maps");

/* Those processes, and the memory that each has now. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} processes SEC(".maps");

static bool is_wanted(__u64 mm)
{
	return !config.some_only || bpf_map_lookup_elem(&memories, &mm);
}

static void have_memory(__u64 mm)
{
	__u64 one = 1, *nr;

	if (!bpf_map_update_elem(&memories, &mm, &one, BPF_NOEXIST))
		return;
	nr = bpf_map_lookup_elem(&memories, &mm);
	if (nr)
		ADD(*nr, 1);
}

static void leave_memory(__u64 mm)
{
	__u64 *nr = bpf_map_lookup_elem(&memories, &mm);

	/* Others may stay: a parent that vforked, whom clone(2) gave the same memory. */
	if (nr && __sync_fetch_and_add(nr, -1) == 1)
		bpf_map_delete_elem(&memories, &mm);
}

static long want(__u64 process, __u64 mm)
{
	long r = bpf_map_update_elem(&processes, &process, &mm, BPF_NOEXIST);

	if (!r)
		have_memory(mm);
	return r;
}

static void forget(__u64 process)
{
	__u64 *at = bpf_map_lookup_elem(&processes, &process), mm;

	if (!at)
		return;
	mm = *at;
	/* Of threads that exit at once, several may take themselves for the last. */
	if (!bpf_map_delete_elem(&processes, &process))
		leave_memory(mm);
}

/* For the loader: it can't count while programs do. */
SEC("syscall")
int choose_process(struct ev_process *p)
{
	if (p->mm)
		return want(p->process, p->mm);
	forget(p->process);
	return 0;
}

static __u64 *process_of(struct task_struct *task)
{
	__u64 process = (__u64)BPF_CORE_READ(task, signal);

	return bpf_map_lookup_elem(&processes, &process);
}

SEC("tp_btf/sched_process_fork")
int process_fork(__u64 *args)
{
	struct task_struct *parent = (void *)args[0], *child = (void *)args[1];

	if (config.children && process_of(parent) && !process_of(child))
		want((__u64)BPF_CORE_READ(child, signal), (__u64)BPF_CORE_READ(child, mm));
	return 0;
}

/* The process is another program in other memory, and still the one that was asked for. */
SEC("tp_btf/sched_process_exec")
int process_exec(__u64 *args)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 *mm = config.some_only ? process_of(task) : NULL;

	if (!mm)
		return 0;
	leave_memory(*mm);
	*mm = (__u64)task->mm;
	have_memory(*mm);
	return 0;
}

/* ---- totals ---- */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ev_stats);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

/* Whoever reads the stream looks by itself many times a second: it is woken before there is too much. */
#define WAKE_BYTES (1 << 20)

static struct ev_stats *own_stats(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&stats, &zero);
}

static __u32 kind_of(__u64 flags)
{
	return flags & 8			   ? EV_RWP
	       : flags & UFFD_PAGEFAULT_FLAG_WP	   ? EV_WP
	       : flags & UFFD_PAGEFAULT_FLAG_MINOR ? EV_MINOR
						   : EV_MISSING;
}

static bool has_choice(void)
{
	return config.kinds || config.access || config.nr_ranges;
}

static bool is_chosen(__u64 flags, __u64 addr)
{
	if (config.kinds && !(config.kinds >> kind_of(flags) & 1))
		return false;
	if (config.access && !(config.access >> (flags & UFFD_PAGEFAULT_FLAG_WRITE) & 1))
		return false;
	if (!config.nr_ranges)
		return true;
	for (__u32 i = 0; i < EV_MAX_RANGES && i < config.nr_ranges; i++)
		if (addr >= config.ranges[i].start && addr < config.ranges[i].end)
			return true;
	return false;
}

/* Not static: verified once, not in each place that it is called from. */
__noinline int is_chosen_uwq(__u64 uwq)
{
	struct userfaultfd_wait_queue *at = (void *)uwq;
	struct uffd_msg msg = {};

	if (!has_choice())
		return true;
	bpf_core_read(&msg, sizeof(msg), &at->msg);
	return is_chosen(msg.arg.pagefault.flags, msg.arg.pagefault.address);
}

static void count_fault(const struct ev_fault *f)
{
	struct ev_stats *st = own_stats();

	if (st)
		ADD(st->faults[f->kind & 3], 1);
}

/* The least i with ns <= 2^i us, by bisection. Not static: its many paths are verified once, not with each caller's. */
__noinline __u32 bucket_of(__u64 ns)
{
	__u64 us = ns > 1000 ? (ns - 1) / 1000 : 0;
	__u32 i = 0;

	if (us >> 32)
		return EV_NR_BUCKETS - 1;
	for (int bits = 16; bits; bits /= 2)
		if (us >> bits) {
			us >>= bits;
			i += bits;
		}
	i += us;
	return i < EV_NR_BUCKETS ? i : EV_NR_BUCKETS - 1;
}

static void count_wait(struct ev_stats *st, __u64 wait)
{
	__u32 i = bucket_of(wait);

	if (i < EV_NR_BUCKETS)
		ADD(st->buckets[i], 1);
	if (wait > st->max_wait_ns)
		st->max_wait_ns = wait;
}

static void count_end_in(struct ev_stats *st, struct ev_fault *f)
{
	ADD(st->ended[f->end & 3], 1);
	if (f->unmeasured)
		ADD(st->unmeasured, 1);
	else
		count_wait(st, f->end_ns > f->start_ns ? f->end_ns - f->start_ns : 0);
	if (config.stream &&
	    bpf_ringbuf_output(&events, f, sizeof(*f),
			       bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > WAKE_BYTES ? BPF_RB_FORCE_WAKEUP
											  : BPF_RB_NO_WAKEUP))
		ADD(st->lost, 1);
}

/* Not static: verified once. */
__noinline int count_end(struct ev_fault *f)
{
	struct ev_stats *st = own_stats();

	if (st && f)
		count_end_in(st, f);
	return 0;
}

/* ---- slots ---- */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EV_NR_SLOTS);
	__type(key, __u32);
	__type(value, struct ev_slot);
} slots SEC(".maps");

static struct ev_slot *find_slot(__u64 task)
{
	for (__u32 i = 0; i < EV_MAX_PROBES; i++) {
		__u32 at = ev_slot_place(task, i);
		struct ev_slot *s = bpf_map_lookup_elem(&slots, &at);

		if (s && s->task == task)
			return s;
	}
	return NULL;
}

static struct ev_slot *take_place(__u64 task)
{
	struct ev_slot *first;

	for (__u32 i = 0; i < EV_MAX_PROBES; i++) {
		__u32 at = ev_slot_place(task, i);
		struct ev_slot *s = bpf_map_lookup_elem(&slots, &at);

		if (!s || s->task || __sync_val_compare_and_swap(&s->task, 0, task))
			continue;
		/* Another CPU may have claimed one for the same thread. */
		first = find_slot(task);
		if (first != s)
			__sync_lock_test_and_set(&s->task, 0);
		return first;
	}
	return NULL;
}

/* Somebody found none: who has no place since may be in a fault that is missed. */
__u32 no_room;

static struct ev_slot *claim_slot(__u64 task)
{
	struct ev_slot *s = take_place(task);
	struct ev_stats *st = s ? NULL : own_stats();

	if (st) {
		no_room = 1;
		ADD(st->missed, 1);
	}
	return s;
}

static __noinline struct ev_slot *slow_slot_of(const void *task, bool create)
{
	struct ev_slot *s = find_slot((__u64)task);

	return s || !create ? s : claim_slot((__u64)task);
}

static __always_inline struct ev_slot *slot_of(const void *task, bool create)
{
	__u32 at = ev_slot_place((__u64)task, 0);
	struct ev_slot *s = bpf_map_lookup_elem(&slots, &at);

	return s && s->task == (__u64)task ? s : slow_slot_of(task, create);
}

/* Slots that are not idle: while there is none, a thread need not be looked up. */
__u64 nr_taken;

static __u32 state_of(__u32 word)
{
	return word & EV_STATE_MASK;
}

/* word: in which this shows. The thread has gone on, and nobody saw when. Nor why, if it slept: ioctls that wake are seen. */
static __always_inline bool end_unseen(struct ev_slot *s, __u32 word, enum ev_slot_state after)
{
	if (state_of(word) != EV_WAITING ||
	    __sync_val_compare_and_swap(&s->state, word, word - EV_WAITING + EV_ENDING) != word)
		return false;
	s->f.end = word & EV_SLEPT ? EV_SIGNAL : EV_NOT_WAITED;
	s->f.end_ns = s->f.start_ns;
	s->f.unmeasured = 1;
	count_end(&s->f);
	__sync_lock_test_and_set(&s->state, word - EV_WAITING + after);
	ADD(nr_taken, -1);
	return true;
}

SEC("tp_btf/sched_process_exit")
int process_exit(__u64 *args)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ev_slot *s = slot_of(task, false);

	if (s) {
		end_unseen(s, s->state, EV_IDLE);
		s->state = EV_IDLE;
		__sync_lock_test_and_set(&s->task, 0);
	}
	if (config.some_only && BPF_CORE_READ(task, signal, live.counter) <= 0)
		forget((__u64)BPF_CORE_READ(task, signal));
	return 0;
}

/* Of any thread, for a fault whose memory is known. Totals do without names, as with those below. */
static inline void set_thread(struct ev_fault *f, struct task_struct *task)
{
	struct task_struct *leader;

	if (!config.stream)
		return;
	leader = BPF_CORE_READ(task, group_leader);
	if (config.level) {
		f->pid = pid_at(leader, config.level, config.pid_ns);
		f->tid = pid_at(task, config.level, config.pid_ns);
	} else {
		f->pid = BPF_CORE_READ(task, tgid);
		f->tid = BPF_CORE_READ(task, pid);
	}
	f->process_ns = (__u64)BPF_CORE_READ(task, mm) == f->mm ? BPF_CORE_READ(leader, start_time) : 0;
	BPF_CORE_READ_STR_INTO(&f->comm, task, comm);
}

/* Of the current one, whose fields are at hand. */
static void set_current(struct task_struct *task, __u32 *pid, __u32 *tid, char *comm)
{
	if (config.level) {
		*pid = pid_at(task->group_leader, config.level, config.pid_ns);
		*tid = pid_at(task, config.level, config.pid_ns);
	} else {
		*pid = task->tgid;
		*tid = task->pid;
	}
	((__u64 *)comm)[0] = ((const __u64 *)task->comm)[0];
	((__u64 *)comm)[1] = ((const __u64 *)task->comm)[1];
}

/* The command of the ioctl that the current task is in; 0: of none. */
static __u32 ioctl_of(struct task_struct *task)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	if (task->flags & PF_KTHREAD)
		return 0;
	/* Of a 32-bit program that number is another call, with no such command. */
	if (REGS_SYSCALL(regs) == NR_IOCTL)
		return REGS_ARG1(regs, false);
	return REGS_SYSCALL(regs) == COMPAT_IOCTL && IS_COMPAT(task) ? REGS_ARG1(regs, true) : 0;
}

static bool is_released(__u64 ctx)
{
	struct userfaultfd_ctx *at = (void *)ctx;

	return BPF_CORE_READ(at, released);
}

/* Waker is current. Until a userfaultfd is released, nothing but ioctls on it wakes. */
static void set_resolver(struct ev_fault *f, struct task_struct *waker, bool released)
{
	__u32 cmd = released ? 0 : ioctl_of(waker);

	if (IOC_TYPE(cmd) == UFFDIO) {
		f->end = EV_WOKEN;
		f->op = IOC_NR(cmd);
	} else {
		f->end = released || is_released(f->ctx) ? EV_RELEASED : EV_WOKEN;
		f->op = EV_OP_NONE;
	}
	if (config.stream)
		set_current(waker, &f->resolver_pid, &f->resolver_tid, f->resolver_comm);
}

/* ---- finding a thread in the queues of a userfaultfd ---- */

/* How far into a queue is looked: entries are added at its head. */
#define DEPTH 64

static __u64 mm_of(struct userfaultfd_ctx *ctx)
{
	return (__u64)BPF_CORE_READ(ctx, mm);
}

static struct userfaultfd_wait_queue *uwq_of(struct list_head *entry)
{
	return (void *)entry - bpf_core_field_offset(struct userfaultfd_wait_queue, wq) -
	       bpf_core_field_offset(struct wait_queue_entry, entry);
}

/*
 * Not static: verified once. The task is a number, since pointers that have a type can't be handed over. An entry that is
 * taken out meanwhile leads nowhere, to itself or to the other queue's head: then the walk begins anew.
 */
__noinline __u64 find_in_queue(__u64 head, __u64 other, __u64 task)
{
	struct list_head *at = (void *)head, *next;

	for (int i = 0; i < DEPTH; i++) {
		struct userfaultfd_wait_queue *uwq;

		next = BPF_CORE_READ(at, next);
		if (next == (void *)head)
			break;
		if (!next || next == at || next == (void *)other) {
			at = (void *)head;
			continue;
		}
		at = next;
		uwq = uwq_of(at);
		if ((__u64)BPF_CORE_READ(uwq, wq.private) == task)
			return (__u64)uwq;
	}
	return 0;
}

struct found {
	struct userfaultfd_wait_queue *uwq;
	struct userfaultfd_ctx *ctx;
	bool delivered;
};

static inline bool find_in_ctx(struct userfaultfd_ctx *ctx, __u64 task, struct found *ret)
{
	__u64 queued, read;

	if (!ctx)
		return false;
	queued = (__u64)&ctx->fault_pending_wqh.head;
	read = (__u64)&ctx->fault_wqh.head;
	ret->ctx = ctx;
	ret->delivered = false;
	ret->uwq = (void *)find_in_queue(queued, read, task);
	if (!ret->uwq) {
		ret->delivered = true;
		ret->uwq = (void *)find_in_queue(read, queued, task);
	}
	return ret->uwq;
}

/* From its struct wait_queue_entry. */
static inline struct userfaultfd_wait_queue *uwq_of_wait(__u64 entry)
{
	return (void *)entry - bpf_core_field_offset(struct userfaultfd_wait_queue, wq);
}

static inline __u64 address_of_wait(__u64 entry)
{
	return BPF_CORE_READ(uwq_of_wait(entry), msg.arg.pagefault.address);
}

#endif
