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
#include "watch.h"

#define MAX_CTXS 4
#define MAX_ALL_CTXS 64

/* Set by the loader. */
__u32 active; /* a userfaultfd has been seen: until then nothing can fault */
__u32 nr_ctxs;
__u64 ctxs[MAX_ALL_CTXS];

__u32 nr_before;

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

/* The current one. */
static bool find(struct task_struct *task, struct found *ret)
{
	__u64 self = bpf_get_current_task(), mm = (__u64)task->mm;
	/* The address of a memory that is gone may be another's by now. */
	struct ctx_set *set = is_wanted(mm) ? bpf_map_lookup_elem(&mms, &mm) : NULL;

	if (set) {
		for (int i = 0; i < MAX_CTXS; i++)
			if (find_in_ctx((void *)set->ctx[i], self, ret))
				return true;
	}
	if (!nr_ctxs || !may_be_remote(task))
		return false;
	for (__u32 i = 0; i < MAX_ALL_CTXS; i++) {
		if (i >= nr_ctxs)
			break;
		if (find_in_ctx((void *)ctxs[i], self, ret))
			return true;
	}
	return false;
}

/* ---- taking slots ---- */

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
	set_thread(f, task);
}

static bool is_waken(struct userfaultfd_wait_queue *uwq)
{
	return BPF_CORE_READ(uwq, waken);
}

/* True: the fault is ours to count. */
static bool take(struct ev_slot *s, struct task_struct *task, const struct found *found, bool slept, __u64 now)
{
	/* Another sign of the same fault has it. */
	if (__sync_val_compare_and_swap(&s->state, EV_IDLE, EV_FILLING) != EV_IDLE)
		return false;
	ADD(nr_taken, 1);
	fill(&s->f, task, found, now);
	s->uwq = (__u64)found->uwq;
	s->slept = slept;
	__sync_lock_test_and_set(&s->state, EV_WAITING);
	if (!is_waken(found->uwq) || __sync_val_compare_and_swap(&s->state, EV_WAITING, EV_IDLE) != EV_WAITING)
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
	struct found found = {}, again = {};
	struct ev_stats *st;
	struct ev_slot *s;
	__u64 now;

	/* A preempted task shows the state that it was about to sleep in. */
	if (!active || preempt || !prev_state)
		return 0;
	prev = bpf_get_current_task_btf();
	if (!find(prev, &found) || is_waken(found.uwq) || !is_chosen_uwq((__u64)found.uwq))
		return 0;
	s = slot_of(prev, true);
	if (!s)
		return 0;
	now = bpf_ktime_get_ns();
	/*
	 * Its message was read before it slept; or that was a fault before, which did not sleep.
	 * Looked at once more: it may have been read after it was found.
	 */
	if (s->state == EV_WAITING && s->f.read_ns && !found.delivered &&
	    find_in_ctx(found.ctx, bpf_get_current_task(), &again) && !again.delivered)
		end_not_waited(s);
	if (take(s, prev, &found, true, now))
		count_fault(&s->f);
	if (config.stream) {
		regs = (struct pt_regs *)bpf_task_pt_regs(prev);
		s->f.ip = REGS_IP(regs);
	}
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

	if (!file || (__u64)BPF_CORE_READ(file, f_op) != config.fops)
		return NULL;
	return BPF_CORE_READ(file, private_data);
}

/* Woken before it slept: only a range operation does that, and it is looked for in its userfaultfd. */
static void woken_awake(__u64 *args, struct task_struct *waker)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(waker);
	__u32 cmd = ioctl_of(waker);
	struct task_struct *task;
	struct ev_fault f = {};
	struct found found = {};

	if (IOC_TYPE(cmd) != UFFDIO)
		return;
	bpf_probe_read_kernel(&task, sizeof(task), args);
	if (!find_in_ctx(ctx_of_fd(waker, REGS_ARG0(regs, IS_COMPAT(waker))), (__u64)task, &found) ||
	    !is_waken(found.uwq))
		return;
	if (!is_wanted(mm_of(found.ctx)) || !is_chosen_uwq((__u64)found.uwq))
		return;
	fill(&f, task, &found, bpf_ktime_get_ns());
	f.end_ns = f.start_ns;
	set_resolver(&f, waker, false);
	count_fault(&f);
	count_end(&f);
}

SEC("tp_btf/sched_waking")
int sched_waking(__u64 *args)
{
	struct task_struct *task = (void *)args[0], *waker = bpf_get_current_task_btf();
	struct ev_fault f;
	struct ev_slot *s;

	if (!active)
		return 0;
	s = nr_taken || nr_before ? slot_of(task, false) : NULL;
	if (s && waited_before(s)) {
		__sync_lock_test_and_set(&s->state, EV_IDLE);
		return 0;
	}
	if (!s || __sync_val_compare_and_swap(&s->state, EV_WAITING, EV_FILLING) != EV_WAITING) {
		woken_awake(args, waker);
		return 0;
	}
	/* The thread runs again only after this tracepoint: nobody else looks at the slot. */
	f = s->f;
	f.end_ns = bpf_ktime_get_ns();
	f.end = EV_SIGNAL;
	if (is_waken((void *)s->uwq))
		set_resolver(&f, waker, false);
	release(s);
	count_end(&f);
	return 0;
}

struct messages {
	const void *buf; /* where they were read to; NULL: not known */
	__u32 nr_faults;
};

static long count_message(__u32 i, struct messages *m)
{
	struct uffd_msg msg = {};
	__u32 size = has_choice() ? sizeof(msg) : sizeof(msg.event);

	if (bpf_probe_read_user(&msg, size, m->buf + i * sizeof(msg)))
		return 1;
	m->nr_faults += msg.event == UFFD_EVENT_PAGEFAULT &&
			(!has_choice() || is_chosen(msg.arg.pagefault.flags, msg.arg.pagefault.address));
	return 0;
}

struct delivery {
	struct userfaultfd_ctx *ctx;
	struct list_head *head, *at;
	__u64 now;
};

static void deliver(struct delivery *d, struct userfaultfd_wait_queue *uwq)
{
	struct found found = { .uwq = uwq, .ctx = d->ctx, .delivered = true };
	struct task_struct *task = BPF_CORE_READ(uwq, wq.private);
	struct ev_stats *st;
	struct ev_slot *s;

	if (!task || is_waken(uwq) || !is_chosen_uwq((__u64)uwq))
		return;
	s = slot_of(task, true);
	if (!s)
		return;
	if (waited_before(s)) {
		/* Its message is not one of those that are counted. */
		st = own_stats();
		if (st && __sync_val_compare_and_swap(&s->state, EV_BEFORE, EV_BEFORE_READ) == EV_BEFORE)
			ADD(st->delivered, -1);
		return;
	}
	if (s->state == EV_WAITING && !s->f.read_ns) {
		s->f.read_ns = d->now;
		return;
	}
	if (s->state == EV_WAITING && !s->slept)
		end_not_waited(s);
	if (s->state == EV_IDLE && take(s, task, &found, false, d->now)) {
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

/* Closed, or used again by another memory since. */
static bool is_gone(__u64 ctx, __u64 mm)
{
	return !ctx || is_released(ctx) || mm_of((void *)ctx) != mm;
}

static void add_ctx(struct ctx_set *set, __u64 mm, __u64 ctx)
{
	for (int i = 0; i < MAX_CTXS; i++)
		if (set->ctx[i] == ctx)
			return;
	for (int i = 0; i < MAX_CTXS; i++)
		if (is_gone(set->ctx[i], mm)) {
			set->ctx[i] = ctx;
			return;
		}
	/* More than there is room for: the eldest makes room, as when they are looked for. */
	for (int i = 1; i < MAX_CTXS; i++)
		set->ctx[i - 1] = set->ctx[i];
	set->ctx[MAX_CTXS - 1] = ctx;
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

static void messages_read(struct task_struct *task, unsigned int fd, const void *buf, __u32 nr)
{
	struct userfaultfd_ctx *ctx = ctx_of_fd(task, fd);
	struct delivery d = { .ctx = ctx };
	struct messages m = { .buf = buf };
	struct ev_stats *st = own_stats();

	if (!ctx || !st || !is_wanted(mm_of(ctx)))
		return;
	bpf_loop(nr, count_message, &m, 0);
	ADD(st->delivered, m.nr_faults);
	d.head = &ctx->fault_wqh.head;
	d.at = d.head;
	d.now = bpf_ktime_get_ns();
	bpf_loop(nr, deliver_next, &d, 0);
}

struct user_iovec {
	void *base;
	unsigned long len;
};

/* A read or readv of the current task has come to an end. */
static void read_ends(struct task_struct *task, struct pt_regs *regs, bool vector, __u32 nr)
{
	bool compat = IS_COMPAT(task);
	void *buf = (void *)REGS_ARG1(regs, compat);
	struct user_iovec iov = {};

	/* Of a 32-bit vector, half of that is the length. */
	if (vector) {
		bpf_probe_read_user(&iov, compat ? 4 : sizeof(iov), buf);
		buf = iov.base;
	}
	messages_read(task, REGS_ARG0(regs, compat), buf, nr);
}

SEC("tp_btf/sys_exit")
int sys_exit(__u64 *args)
{
	struct pt_regs *regs = (void *)args[0];
	struct task_struct *task = bpf_get_current_task_btf();
	long ret = args[1], nr = REGS_SYSCALL(regs);
	bool compat = IS_COMPAT(task), vector = nr == (compat ? COMPAT_READV : NR_READV);

	if (ret < 0)
		return 0;
	if (nr == (compat ? COMPAT_IOCTL : NR_IOCTL)) {
		if ((__u32)REGS_ARG1(regs, compat) == UFFDIO_API)
			learn_ctx(ctx_of_fd(task, REGS_ARG0(regs, compat)));
		return 0;
	}
	if ((vector || nr == (compat ? COMPAT_READ : NR_READ)) && ret && ret % sizeof(struct uffd_msg) == 0)
		read_ends(task, regs, vector, ret / sizeof(struct uffd_msg));
	return 0;
}
