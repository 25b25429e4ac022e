/* SPDX-License-Identifier: GPL-2.0-only */
/* The waiter and the resolver of a fault. Totals do not need them. */
#ifndef UFFDCTL_BPF_WATCH_THREAD_H
#define UFFDCTL_BPF_WATCH_THREAD_H

#include "bpf/queues.h"
#include "bpf/task.h"
#include "bpf/watch/config.h"
#include "bpf/watch/syscall.h"

/* Any thread. */
static inline void read_ids(struct task_struct *task, __u32 *pid, __u32 *tid)
{
	if (config.level) {
		*pid = pid_at(BPF_CORE_READ(task, group_leader), config.level, config.pid_ns);
		*tid = pid_at(task, config.level, config.pid_ns);
	} else {
		*pid = BPF_CORE_READ(task, tgid);
		*tid = BPF_CORE_READ(task, pid);
	}
}

/* Any thread, in a fault whose memory is known. */
static inline void set_thread(struct ev_fault *f, struct task_struct *task)
{
	struct task_struct *leader;

	if (!is_streaming())
		return;
	leader = BPF_CORE_READ(task, group_leader);
	read_ids(task, &f->pid, &f->tid);
	f->process_ns = (__u64)BPF_CORE_READ(task, mm) == f->mm ? BPF_CORE_READ(leader, start_time) : 0;
	BPF_CORE_READ_STR_INTO(&f->comm, task, comm);
}

/* The current thread, whose fields can be read directly. */
static inline void set_current(struct task_struct *task, __u32 *pid, __u32 *tid, char *comm)
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

/* Set until it is known who read its message, and who ended it. */
static inline void set_nobody(struct ev_fault *f)
{
	f->reader_pid = f->reader_tid = 0;
	f->resolver_pid = f->resolver_tid = 0;
	f->resolver = 0;
	f->op = EV_OP_NONE;
}

/* The current task has read its message. */
static inline void set_reader(struct ev_fault *f)
{
	if (is_streaming())
		set_current(bpf_get_current_task_btf(), &f->reader_pid, &f->reader_tid, f->reader_comm);
}

/* The resolver is the current task. Until a userfaultfd is released, nothing but ioctls on it wakes. */
static __always_inline void set_resolver(struct ev_fault *f, struct task_struct *resolver, bool released)
{
	__u32 cmd = released ? 0 : ioctl_of(resolver);

	if (IOC_TYPE(cmd) == UFFDIO) {
		f->end = EV_WOKEN;
		f->op = IOC_NR(cmd);
	} else {
		f->end = released || is_released((void *)f->ctx) ? EV_RELEASED : EV_WOKEN;
		f->op = EV_OP_NONE;
	}
	if (is_streaming())
		set_current(resolver, &f->resolver_pid, &f->resolver_tid, f->resolver_comm);
}

#endif
