// SPDX-License-Identifier: GPL-2.0-only
/* Iterator: the threads that wait on a userfaultfd now, and those that wait for its messages, from its queues. */
#include "bpf/event.h"
#include "bpf/queues.h"
#include "bpf/readers.h"
#include "bpf/task.h"

char _license[] SEC("license") = "GPL";

const volatile __u64 userfaultfd_fops;

__u64 run; /* number of this run, set by the loader before */

/* The results are here and not in the iterator's file, which fails after some 400 records for one descriptor. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EV_MAX_WAITERS);
	__type(key, __u32);
	__type(value, struct ev_waiter);
} found SEC(".maps");

/* Userfaultfds, and the last run that walked each: a userfaultfd may have several descriptors. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EV_MAX_FILES);
	__type(key, __u64);
	__type(value, __u64);
} walked SEC(".maps");

__u64 nr_found; /* may be more than fit */

/* Userfaultfds whose threads may be missing, and their number. */
__u64 torn[EV_MAX_TORN];
__u64 nr_torn;

/*
 * A queue is walked without its lock, while threads come and go. If a walk along `next` ends where it began, it has
 * met each thread that waited all the time. An entry that is removed meanwhile points to itself or to nothing, or
 * continues at its new place: the front of the same queue, or another queue. Except for the front of the same queue,
 * this is detected, and the walk is repeated.
 */
#define MAX_TRIES 32
#define MAX_STEPS (1 << 16)

struct walk {
	struct userfaultfd_ctx *ctx;
	struct list_head *head, *at;
	__u64 began; /* nr_found */
	__u32 queue;
	__u32 back; /* along `prev` */
	__u32 whole;
};

/*
 * When a task last ran: the time when it got a CPU, plus how long it ran. exec_start has just that, but in the task
 * clock of one CPU, which leaves out time that was stolen from that CPU.
 */
static __u64 last_ran(struct task_struct *task, __u64 now)
{
	__u64 came = BPF_CORE_READ(task, sched_info.last_arrival);
	__u64 ran = BPF_CORE_READ(task, se.sum_exec_runtime) - BPF_CORE_READ(task, se.prev_sum_exec_runtime);

	/* Real-time tasks do not update the second number. */
	return came + ran > now ? came : came + ran;
}

static __u64 slept_ns(struct task_struct *task)
{
	__u64 now, then;

	/* CONFIG_SCHED_INFO */
	if (!bpf_core_field_exists(struct sched_info, last_arrival))
		return ~0ull;
	now = last_ran(bpf_get_current_task_btf(), ~0ull);
	then = last_ran(task, now);
	return now > then ? now - then : 0;
}

static void report(struct walk *w, struct userfaultfd_wait_queue *uwq)
{
	struct task_struct *task = BPF_CORE_READ(uwq, wq.private);
	struct userfaultfd_ctx *ctx = w->ctx;
	struct uffd_msg msg = {};
	struct ev_waiter *ev;
	__u32 nr;

	if (!task || bpf_core_read(&msg, sizeof(msg), &uwq->msg))
		return;
	nr = nr_found++;
	ev = bpf_map_lookup_elem(&found, &nr);
	if (!ev)
		return;
	ev->task = (__u64)task;
	ev->ctx = (__u64)ctx;
	ev->queue = w->queue;
	ev->mm = mm_of(ctx);
	ev->event = msg.event;
	if (msg.event == UFFD_EVENT_PAGEFAULT) {
		ev->addr = msg.arg.pagefault.address;
		ev->flags = msg.arg.pagefault.flags;
	} else if (msg.event == UFFD_EVENT_REMAP) {
		ev->addr = msg.arg.remap.from;
	} else if (msg.event != UFFD_EVENT_FORK) {
		ev->addr = msg.arg.remove.start;
	}
	ev->slept_ns = slept_ns(task);
	ev->pid = tgid_of(task);
	ev->tid = pid_of(task);
	BPF_CORE_READ_STR_INTO(&ev->comm, task, comm);
}

static struct list_head *entry_behind(const struct walk *w)
{
	struct list_head *at = w->at;

	return w->back ? BPF_CORE_READ(at, prev) : BPF_CORE_READ(at, next);
}

/* The head of another queue of the userfaultfd is no entry; memory that was an entry is none either. */
static bool is_entry(const struct walk *w, const struct list_head *entry, struct userfaultfd_wait_queue *uwq)
{
	__u64 in_ctx = (__u64)entry - (__u64)w->ctx;

	return in_ctx >= bpf_core_type_size(struct userfaultfd_ctx) && BPF_CORE_READ(uwq, ctx) == w->ctx;
}

static long step(__u32 i, struct walk *w)
{
	struct list_head *next = entry_behind(w);
	struct userfaultfd_wait_queue *uwq;

	if (next == w->head) {
		w->whole = 1;
		return 1;
	}
	if (!next || next == w->at)
		return 1;
	uwq = uwq_of(next);
	if (!is_entry(w, next, uwq))
		return 1;
	w->at = next;
	report(w, uwq);
	return 0;
}

static long try_walk(__u32 i, struct walk *w)
{
	nr_found = w->began;
	w->at = w->head;
	bpf_loop(MAX_STEPS, step, w, 0);
	return w->whole != 0;
}

/*
 * True: the whole queue was walked. Otherwise the entries at its end, which came first, were reported, perhaps twice.
 */
static bool walk(struct walk *w, struct list_head *head, __u32 queue)
{
	w->head = head;
	w->queue = queue;
	w->began = nr_found;
	w->back = w->whole = 0;
	bpf_loop(MAX_TRIES, try_walk, w, 0);
	if (w->whole)
		return true;
	w->at = head;
	w->back = 1;
	bpf_loop(MAX_STEPS, step, w, 0);
	return false;
}

static void walk_all(struct walk *w, struct userfaultfd_ctx *ctx)
{
	__u32 whole;
	__u64 nr;

	/* In the order in which a thread passes through them. */
	w->ctx = ctx;
	whole = walk(w, queue_of(ctx, fault_pending_wqh), EV_QUEUED);
	whole &= walk(w, queue_of(ctx, fault_wqh), EV_DELIVERED);
	whole &= walk(w, queue_of(ctx, event_wqh), EV_EVENT);
	if (whole)
		return;
	nr = nr_torn++;
	if (nr < EV_MAX_TORN)
		torn[nr] = (__u64)ctx;
}

SEC("iter/task_file")
int waiters(struct bpf_iter__task_file *it)
{
	struct file *file = it->file;
	struct userfaultfd_ctx *ctx;
	struct walk w = {};
	__u64 key, *last, before;

	if (!file || !it->task || (__u64)file->f_op != userfaultfd_fops)
		return 0;
	ctx = BPF_CORE_READ(file, private_data);
	key = (__u64)ctx;
	/* If there is no room to remember it, it is walked each time. */
	last = bpf_map_lookup_elem(&walked, &key);
	if (last && *last == run)
		return 0;
	bpf_map_update_elem(&walked, &key, &run, BPF_ANY);
	before = nr_found;
	walk_all(&w, ctx);
	if (nr_found > before)
		walk_readers(ctx);
	return 0;
}
