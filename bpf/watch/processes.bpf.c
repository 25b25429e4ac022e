// SPDX-License-Identifier: GPL-2.0-only
/* The watched processes, from their beginning to their end. */
#include <linux/errno.h>

#include "bpf/watch/processes.h"
#include "bpf/watch/tally.h"

char _license[] SEC("license") = "GPL";

struct process_map memories SEC(".maps");

/* The chosen processes, and the current memory of each. */
struct process_map processes SEC(".maps");

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

	/*
	 * Other processes may keep this memory: a parent that called vfork(2), or a process that shares it by
	 * clone(2).
	 */
	if (nr && __sync_fetch_and_add(nr, -1) == 1)
		bpf_map_delete_elem(&memories, &mm);
}

static long choose(__u64 process, __u64 mm)
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
	/* If threads exit at the same time, several may seem to be the last one. */
	if (!bpf_map_delete_elem(&processes, &process))
		leave_memory(mm);
}

static __u64 *memory_of(struct task_struct *task)
{
	__u64 process = (__u64)BPF_CORE_READ(task, signal);

	return bpf_map_lookup_elem(&processes, &process);
}

/*
 * For the loader, which must not count while programs do, and whose bpf(2) calls must not look up (see totals.h).
 */
SEC("syscall")
int choose_process(struct ev_process *p)
{
	__u64 mm = p->mm, parent = p->parent;

	if (!p->process)
		return bpf_map_lookup_elem(&memories, &mm) ? 1 : 0;
	if (parent && !bpf_map_lookup_elem(&processes, &parent))
		return -ENOENT;
	if (mm)
		return choose(p->process, mm);
	forget(p->process);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_forks, struct task_struct *parent, struct task_struct *child)
{
	if (config.flags & EV_WATCH_CHILDREN && memory_of(parent) && !memory_of(child))
		choose((__u64)BPF_CORE_READ(child, signal), (__u64)BPF_CORE_READ(child, mm));
	return 0;
}

/* The process has another program and another memory, but is still chosen. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_execs)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 *mm = config.flags & EV_WATCH_SOME ? memory_of(task) : NULL;

	if (!mm)
		return 0;
	leave_memory(*mm);
	*mm = (__u64)task->mm;
	have_memory(*mm);
	return 0;
}

/* The thread exits, or has exited. */
static void leave_slot(struct task_struct *task)
{
	struct ev_slot *s = search_slot((__u64)task);

	if (!s)
		return;
	if (config.flags & EV_WATCH_STEPS)
		end_missed(s, task);
	else
		end_lost(s, s->word, EV_IDLE);
	leave_team(s);
	s->thread = 0;
	s->resolver = 0;
	s->known_mm = 0;
	s->f.start_ns = 0;
	s->word = EV_IDLE;
	__sync_lock_test_and_set(&s->task, 0);
}

/* @number: the address of the task, as a number: the verifier forbids arithmetic with pointers that it knows */
static __noinline int leave(__u64 number)
{
	struct task_struct *task = (void *)number;

	leave_slot(task);
	if (config.flags & EV_WATCH_SOME && BPF_CORE_READ(task, signal, live.counter) <= 0)
		forget((__u64)BPF_CORE_READ(task, signal));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(thread_exits)
{
	return leave(bpf_get_current_task());
}

/*
 * A program is skipped if another thread was preempted in it on the same CPU: then it skips all threads of a process
 * that is killed. This one runs where nothing is preempted (from RCU), and makes up for it.
 */
SEC("tp_btf/sched_process_free")
int BPF_PROG(thread_is_freed)
{
	return leave(first_argument(ctx));
}
