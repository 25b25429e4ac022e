/* SPDX-License-Identifier: GPL-2.0-only */
/* The IDs of a thread in a pid namespace. */
#ifndef UFFDCTL_BPF_TASK_H
#define UFFDCTL_BPF_TASK_H

#include "bpf/kernel.h"

/* The ID in one pid namespace; the last one is in its own namespace. */
static inline void read_upid(struct pid *pid, unsigned int level, struct upid *ret)
{
	void *at = (void *)pid + bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid);

	bpf_probe_read_kernel(&ret->nr, sizeof(ret->nr), at + bpf_core_field_offset(struct upid, nr));
	bpf_probe_read_kernel(&ret->ns, sizeof(ret->ns), at + bpf_core_field_offset(struct upid, ns));
}

/*
 * The ID of a thread in a pid namespace; 0 if it has none. Except for the first level, there are many namespaces on a
 * level.
 */
static inline __u32 pid_at(struct task_struct *task, unsigned int level, __u64 ns)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid upid = {};

	if (BPF_CORE_READ(pid, level) < level)
		return 0;
	read_upid(pid, level, &upid);
	return (__u64)upid.ns == ns ? upid.nr : 0;
}

/* The namespace of the process that runs an iterator. */
static inline unsigned int own_level(void)
{
	return BPF_CORE_READ(bpf_get_current_task_btf(), thread_pid, level);
}

static inline __u64 own_ns(void)
{
	struct pid *pid = BPF_CORE_READ(bpf_get_current_task_btf(), thread_pid);
	struct upid upid = {};

	read_upid(pid, BPF_CORE_READ(pid, level), &upid);
	return (__u64)upid.ns;
}

static inline __u32 pid_of(struct task_struct *task)
{
	return pid_at(task, own_level(), own_ns());
}

static inline __u32 tgid_of(struct task_struct *task)
{
	return pid_of(BPF_CORE_READ(task, group_leader));
}

#endif
