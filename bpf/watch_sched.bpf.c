// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults by stable tracepoints alone, where neither fentry nor kprobes can be had.
 *
 * A fault shows in up to three signs, on several CPUs at once:
 *  1. its thread goes to sleep with an entry in a queue of a userfaultfd (sched_switch);
 *  2. the thread is woken (sched_waking), most often by a range operation;
 *  3. its message is read (sys_exit of read or readv).
 * The first sign that takes the thread's slot counts the fault. userfaultfd_wake_function()
 * sets waken before it wakes, so a slot that was taken while waken became true is given back
 * unless the waker has taken it over: whichever of the two sees the other, one of them counts.
 */
#include "kernel.h"
#include "event.h"

char _license[] SEC("license") = "GPL";

#if defined(__TARGET_ARCH_x86)
#define REGS_IP(regs) ((regs)->ip)
#define REGS_SYSCALL(regs) ((long)(regs)->orig_ax)
#define REGS_ARG0(regs) ((regs)->di)
#define REGS_ARG1(regs) ((regs)->si)
enum {
	NR_READ = 0,
	NR_IOCTL = 16,
	NR_READV = 19,
	NR_VM_READV = 310,
	NR_VM_WRITEV = 311
};
#elif defined(__TARGET_ARCH_arm64)
#define REGS_IP(regs) ((regs)->pc)
#define REGS_SYSCALL(regs) ((long)(regs)->syscallno)
#define REGS_ARG0(regs) ((regs)->orig_x0)
#define REGS_ARG1(regs) ((regs)->regs[1])
enum {
	NR_READ = 63,
	NR_IOCTL = 29,
	NR_READV = 65,
	NR_VM_READV = 270,
	NR_VM_WRITEV = 271
};
#endif

#define IOC_TYPE(cmd) (((cmd) >> 8) & 0xff)
#define IOC_NR(cmd) ((cmd)&0xff)

/* How far into a queue is looked: entries are added at its head. */
#define DEPTH 12
#define MAX_CTXS 4
#define MAX_ALL_CTXS 64

/* Set by the loader. */
__u64 userfaultfd_fops;
__u32 level;  /* of its pid namespace */
__u32 stream; /* records are wanted */
__u32 wanted_only;
__u32 active; /* a userfaultfd has been seen: until then nothing can fault */
__u32 nr_ctxs;
__u64 ctxs[MAX_ALL_CTXS];

struct ctx_set {
	__u64 ctx[MAX_CTXS];
};

/* Memories that are governed, by mm. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct ctx_set);
} mms SEC(".maps");

/* With wanted_only: those to watch. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32);
} wanted SEC(".maps");

enum {
	SLOT_IDLE,
	SLOT_FILLING,
	SLOT_WAITING,
	SLOT_BEFORE, /* waited when watching began: not counted */
};

struct slot {
	__u32 state;
	__u32 slept;
	struct userfaultfd_wait_queue *uwq;
	struct ev_fault f;
};

/* By thread. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct slot);
} slots SEC(".maps");

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

static const struct slot idle;

/* Slots that are not idle: while there is none, a waking thread need not be looked up. */
__u64 nr_taken;
__u32 nr_before;

/* Programs on one CPU may interrupt each other. */
#define ADD(counter, n) __sync_fetch_and_add(&(counter), n)

static struct ev_stats *own_stats(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&stats, &zero);
}

static __u64 mm_of(struct userfaultfd_ctx *ctx)
{
	return (__u64)BPF_CORE_READ(ctx, mm);
}

static __u32 kind_of(__u64 flags)
{
	return flags & 8			   ? EV_RWP
	       : flags & UFFD_PAGEFAULT_FLAG_WP	   ? EV_WP
	       : flags & UFFD_PAGEFAULT_FLAG_MINOR ? EV_MINOR
						   : EV_MISSING;
}

/* ---- counting ---- */

static void count_fault(const struct ev_fault *f)
{
	struct ev_stats *st = own_stats();

	if (st)
		ADD(st->faults[f->kind & 3], 1);
}

static __u32 bucket_of(__u64 ns)
{
	__u64 us = (ns + 999) / 1000;
	__u32 i = 0;

	for (; i < EV_NR_BUCKETS - 1; i++)
		if (us <= 1ull << i)
			break;
	return i;
}

static void count_end(struct ev_fault *f)
{
	struct ev_stats *st = own_stats();
	__u64 wait = f->end_ns > f->start_ns ? f->end_ns - f->start_ns : 0;
	__u32 i = bucket_of(wait);

	if (!st)
		return;
	ADD(st->ended[f->end & 3], 1);
	if (i < EV_NR_BUCKETS)
		ADD(st->buckets[i], 1);
	if (wait > st->max_wait_ns)
		st->max_wait_ns = wait;
	if (stream && bpf_ringbuf_output(&events, f, sizeof(*f), 0))
		ADD(st->lost, 1);
}

/* ---- finding a thread in the queues ---- */

static struct userfaultfd_wait_queue *uwq_of(struct list_head *entry)
{
	return (void *)entry - bpf_core_field_offset(struct userfaultfd_wait_queue, wq) -
	       bpf_core_field_offset(struct wait_queue_entry, entry);
}

static struct userfaultfd_wait_queue *find_in_queue(struct list_head *head, const struct task_struct *task)
{
	struct list_head *at = head;

	for (int i = 0; i < DEPTH; i++) {
		struct userfaultfd_wait_queue *uwq;

		at = BPF_CORE_READ(at, next);
		if (!at || at == head)
			break;
		uwq = uwq_of(at);
		if (BPF_CORE_READ(uwq, wq.private) == task)
			return uwq;
	}
	return NULL;
}

struct found {
	struct userfaultfd_wait_queue *uwq;
	struct userfaultfd_ctx *ctx;
	bool delivered;
};

static bool find_in_ctx(struct userfaultfd_ctx *ctx, const struct task_struct *task, struct found *ret)
{
	if (!ctx)
		return false;
	ret->ctx = ctx;
	ret->delivered = false;
	ret->uwq = find_in_queue(&ctx->fault_pending_wqh.head, task);
	if (ret->uwq)
		return true;
	ret->delivered = true;
	ret->uwq = find_in_queue(&ctx->fault_wqh.head, task);
	return ret->uwq;
}

/* Who touches the memory of others: kernel threads, process_vm_readv(2). */
static bool may_be_remote(struct task_struct *task)
{
	struct pt_regs *regs;
	long nr;

	if (task->flags & PF_KTHREAD)
		return true;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	nr = REGS_SYSCALL(regs);
	return nr == NR_VM_READV || nr == NR_VM_WRITEV;
}

static bool find(struct task_struct *task, struct found *ret)
{
	__u64 mm = (__u64)task->mm;
	struct ctx_set *set = bpf_map_lookup_elem(&mms, &mm);

	if (set) {
		for (int i = 0; i < MAX_CTXS; i++)
			if (find_in_ctx((void *)set->ctx[i], task, ret))
				return true;
	}
	if (!nr_ctxs || !may_be_remote(task))
		return false;
	for (__u32 i = 0; i < MAX_ALL_CTXS; i++) {
		if (i >= nr_ctxs)
			break;
		if (find_in_ctx((void *)ctxs[i], task, ret))
			return true;
	}
	return false;
}

/* ---- slots ---- */

static struct slot *slot_of(const struct task_struct *task, bool create)
{
	__u64 key = (__u64)task;
	struct slot *s = bpf_map_lookup_elem(&slots, &key);
	struct ev_stats *st;

	if (s || !create)
		return s;
	bpf_map_update_elem(&slots, &key, &idle, BPF_NOEXIST);
	s = bpf_map_lookup_elem(&slots, &key);
	if (!s && (st = own_stats()))
		ADD(st->missed, 1);
	return s;
}

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
	f->pid = pid_at(BPF_CORE_READ(task, group_leader), level);
	f->tid = pid_at(task, level);
	f->resolver_pid = 0;
	f->resolver_tid = 0;
	f->op = EV_OP_NONE;
	BPF_CORE_READ_STR_INTO(&f->comm, task, comm);
}

static bool is_waken(struct userfaultfd_wait_queue *uwq)
{
	return BPF_CORE_READ(uwq, waken);
}

static void release(struct slot *s)
{
	__sync_lock_test_and_set(&s->state, SLOT_IDLE);
	ADD(nr_taken, -1);
}

static void end_not_waited(struct slot *s, __u64 now)
{
	struct ev_fault f;

	if (__sync_val_compare_and_swap(&s->state, SLOT_WAITING, SLOT_FILLING) != SLOT_WAITING)
		return;
	f = s->f;
	release(s);
	f.end = EV_NOT_WAITED;
	f.end_ns = now;
	count_end(&f);
}

/* True: the fault is ours to count. */
static bool take(struct slot *s, struct task_struct *task, const struct found *found, bool slept, __u64 now)
{
	/* Another sign of the same fault has it. */
	if (__sync_val_compare_and_swap(&s->state, SLOT_IDLE, SLOT_FILLING) != SLOT_IDLE)
		return false;
	ADD(nr_taken, 1);
	fill(&s->f, task, found, now);
	s->uwq = found->uwq;
	s->slept = slept;
	__sync_lock_test_and_set(&s->state, SLOT_WAITING);
	if (!is_waken(found->uwq) || __sync_val_compare_and_swap(&s->state, SLOT_WAITING, SLOT_IDLE) != SLOT_WAITING)
		return true;
	ADD(nr_taken, -1);
	return false;
}

/* ---- the three signs ---- */

SEC("tp_btf/sched_switch")
int sched_switch(__u64 *args)
{
	bool preempt = args[0];
	struct task_struct *prev = (void *)args[1];
	unsigned int prev_state = args[3];
	struct pt_regs *regs;
	struct found found;
	struct ev_stats *st;
	struct slot *s;
	__u64 now;

	/* A preempted task shows the state that it was about to sleep in. */
	if (!active || preempt || !prev_state)
		return 0;
	prev = bpf_get_current_task_btf();
	if (!find(prev, &found) || is_waken(found.uwq))
		return 0;
	s = slot_of(prev, true);
	if (!s)
		return 0;
	now = bpf_ktime_get_ns();
	/* Its message was read before it slept; or that was a fault before, which did not sleep. */
	if (s->state == SLOT_WAITING && s->f.read_ns && !found.delivered)
		end_not_waited(s, now);
	if (take(s, prev, &found, true, now))
		count_fault(&s->f);
	regs = (struct pt_regs *)bpf_task_pt_regs(prev);
	s->f.ip = REGS_IP(regs);
	s->slept = 1;
	st = own_stats();
	if (st)
		ADD(st->blocked, 1);
	return 0;
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

	if (!file || (__u64)BPF_CORE_READ(file, f_op) != userfaultfd_fops)
		return NULL;
	return BPF_CORE_READ(file, private_data);
}

static void set_resolver(struct ev_fault *f, struct task_struct *waker)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(waker);
	bool in_ioctl = REGS_SYSCALL(regs) == NR_IOCTL && IOC_TYPE(REGS_ARG1(regs)) == UFFDIO;

	f->end = in_ioctl ? EV_WOKEN : EV_RELEASED;
	if (in_ioctl)
		f->op = IOC_NR(REGS_ARG1(regs));
	f->resolver_pid = pid_at(BPF_CORE_READ(waker, group_leader), level);
	f->resolver_tid = pid_at(waker, level);
	BPF_CORE_READ_STR_INTO(&f->resolver_comm, waker, comm);
}

/* Woken before it slept: only a range operation does that, and it is looked for in its userfaultfd. */
static void woken_awake(struct task_struct *task, struct task_struct *waker)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(waker);
	struct ev_fault f = {};
	struct found found;

	if (waker->flags & PF_KTHREAD || REGS_SYSCALL(regs) != NR_IOCTL || IOC_TYPE(REGS_ARG1(regs)) != UFFDIO)
		return;
	if (!find_in_ctx(ctx_of_fd(waker, REGS_ARG0(regs)), task, &found) || !is_waken(found.uwq))
		return;
	if (wanted_only) {
		__u64 mm = mm_of(found.ctx);

		if (!bpf_map_lookup_elem(&wanted, &mm))
			return;
	}
	fill(&f, task, &found, bpf_ktime_get_ns());
	f.end_ns = f.start_ns;
	set_resolver(&f, waker);
	count_fault(&f);
	count_end(&f);
}

SEC("tp_btf/sched_waking")
int sched_waking(__u64 *args)
{
	struct task_struct *task = (void *)args[0], *waker = bpf_get_current_task_btf();
	struct ev_fault f;
	struct slot *s;

	if (!active)
		return 0;
	s = nr_taken || nr_before ? slot_of(task, false) : NULL;
	if (s && s->state == SLOT_BEFORE) {
		__sync_lock_test_and_set(&s->state, SLOT_IDLE);
		return 0;
	}
	if (!s || __sync_val_compare_and_swap(&s->state, SLOT_WAITING, SLOT_FILLING) != SLOT_WAITING) {
		woken_awake(task, waker);
		return 0;
	}
	/* The thread runs again only after this tracepoint: nobody else looks at the slot. */
	f = s->f;
	f.end_ns = bpf_ktime_get_ns();
	f.end = EV_SIGNAL;
	if (is_waken(s->uwq))
		set_resolver(&f, waker);
	release(s);
	count_end(&f);
	return 0;
}

struct delivery {
	struct userfaultfd_ctx *ctx;
	struct list_head *head, *at;
	const void *buf;
	struct ev_stats *st;
	__u64 now;
};

static void deliver(struct delivery *d, struct userfaultfd_wait_queue *uwq)
{
	struct found found = { .uwq = uwq, .ctx = d->ctx, .delivered = true };
	struct task_struct *task = BPF_CORE_READ(uwq, wq.private);
	struct slot *s;

	if (!task || is_waken(uwq))
		return;
	s = slot_of(task, true);
	if (!s || s->state == SLOT_BEFORE)
		return;
	if (s->state == SLOT_WAITING && !s->f.read_ns) {
		s->f.read_ns = d->now;
		return;
	}
	if (s->state == SLOT_WAITING && !s->slept)
		end_not_waited(s, d->now);
	if (s->state == SLOT_IDLE && take(s, task, &found, false, d->now)) {
		s->f.read_ns = d->now;
		count_fault(&s->f);
	}
}

/* The newest entries of fault_wqh are those that were just read. */
static long deliver_next(__u32 i, struct delivery *d)
{
	struct list_head *at = d->at;

	at = BPF_CORE_READ(at, next);
	if (!at || at == d->head)
		return 1;
	d->at = at;
	deliver(d, uwq_of(at));
	return 0;
}

static long count_message(__u32 i, struct delivery *d)
{
	__u8 event = 0;

	bpf_probe_read_user(&event, sizeof(event), d->buf + i * sizeof(struct uffd_msg));
	ADD(d->st->delivered, event == UFFD_EVENT_PAGEFAULT);
	return 0;
}

static void learn_ctx(struct userfaultfd_ctx *ctx)
{
	/* Before the table: whoever sees it there must not be turned away. */
	active = 1;
	__u64 mm = mm_of(ctx);
	struct ctx_set *set, fresh = {};

	if (!ctx || (wanted_only && !bpf_map_lookup_elem(&wanted, &mm)))
		return;
	set = bpf_map_lookup_elem(&mms, &mm);
	if (!set) {
		fresh.ctx[0] = (__u64)ctx;
		bpf_map_update_elem(&mms, &mm, &fresh, BPF_NOEXIST);
		return;
	}
	for (int i = 0; i < MAX_CTXS; i++) {
		if (set->ctx[i] == (__u64)ctx)
			return;
		if (!set->ctx[i]) {
			set->ctx[i] = (__u64)ctx;
			return;
		}
	}
}

static void messages_read(struct task_struct *task, unsigned int fd, const void *buf, __u32 nr)
{
	struct userfaultfd_ctx *ctx = ctx_of_fd(task, fd);
	struct ev_stats *st = own_stats();
	struct delivery d = { .ctx = ctx, .buf = buf, .st = st };
	__u64 mm, before;

	if (!ctx || !st)
		return;
	mm = mm_of(ctx);
	if (wanted_only && !bpf_map_lookup_elem(&wanted, &mm))
		return;
	before = st->delivered;
	bpf_loop(nr, count_message, &d, 0);
	d.head = &ctx->fault_wqh.head;
	d.at = d.head;
	d.now = bpf_ktime_get_ns();
	bpf_loop(st->delivered - before, deliver_next, &d, 0);
}

struct user_iovec {
	void *base;
	unsigned long len;
};

SEC("tp_btf/sys_exit")
int sys_exit(__u64 *args)
{
	struct pt_regs *regs = (void *)args[0];
	long ret = args[1], nr = REGS_SYSCALL(regs);
	struct task_struct *task;
	struct user_iovec iov = {};

	if (nr != NR_READ && nr != NR_IOCTL && nr != NR_READV)
		return 0;
	if (ret < 0)
		return 0;
	task = bpf_get_current_task_btf();
	if (nr == NR_IOCTL) {
		if (REGS_ARG1(regs) == UFFDIO_API)
			learn_ctx(ctx_of_fd(task, REGS_ARG0(regs)));
		return 0;
	}
	if (!ret || ret % sizeof(struct uffd_msg))
		return 0;
	if (nr == NR_READV)
		bpf_probe_read_user(&iov, sizeof(iov), (void *)REGS_ARG1(regs));
	else
		iov.base = (void *)REGS_ARG1(regs);
	messages_read(task, REGS_ARG0(regs), iov.base, ret / sizeof(struct uffd_msg));
	return 0;
}
