/* SPDX-License-Identifier: GPL-2.0-only */
/* Ioctls on userfaultfds that fail, by thread, command and error. */
#ifndef UFFDCTL_BPF_WATCH_FAILURES_H
#define UFFDCTL_BPF_WATCH_FAILURES_H

#include "bpf/watch/processes.h"
#include "bpf/watch/thread.h"
#include "bpf/watch/totals.h"

struct failure_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EV_MAX_FAILURES);
	__type(key, __u32);
	__type(value, struct ev_failure);
};

extern struct failure_map failures SEC(".maps");

/* A thread's number may be reused: its start tells it from the one before. */
static inline __u64 failure_key(struct task_struct *task, __u32 op, __u32 err)
{
	return (task->start_time ^ (__u64)task->pid << 40) << 18 | op << 12 | err;
}

/* The item with this key, or a free one that becomes it; NULL: there is no room. */
static __always_inline struct ev_failure *failure_of(struct task_struct *task, __u32 op, __u32 err)
{
	__u64 key = failure_key(task, op, err);

	for (__u32 i = 0; i < EV_MAX_PROBES; i++) {
		__u32 at = ev_failure_place(key, i);
		struct ev_failure *f = bpf_map_lookup_elem(&failures, &at);

		if (!f || f->key == key)
			return f;
		if (f->key || __sync_val_compare_and_swap(&f->key, 0, key))
			continue;
		f->op = op;
		f->err = err;
		set_current(task, &f->pid, &f->tid, f->comm);
		return f;
	}
	return NULL;
}

/* An ioctl of the current thread has failed. @op: _UFFDIO_* */
static __always_inline void op_fails(struct userfaultfd_ctx *ctx, __u32 op, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 last = EV_NO_ROOM;
	struct ev_failure *f;

	if (!ctx || !is_wanted(mm_of(ctx)))
		return;
	f = failure_of(task, op & 0x3f, -ret & 0xfff) ?: bpf_map_lookup_elem(&failures, &last);
	if (f)
		ADD(f->count, 1);
}

static __always_inline void ioctl_fails(struct userfaultfd_ctx *ctx, __u32 cmd, long ret)
{
	if (IOC_TYPE(cmd) == UFFDIO)
		op_fails(ctx, IOC_NR(cmd), ret);
}

#endif
