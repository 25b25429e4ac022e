// SPDX-License-Identifier: GPL-2.0-only
/* Iterators: who holds userfaultfds, whose memory they govern, which mappings they own. */
#include "kernel.h"
#include "event.h"

char _license[] SEC("license") = "GPL";

/* Set by the loader before each run. */
__u64 userfaultfd_fops; /* 0: report every file */
__u64 registered_only;

SEC("iter/task_file")
int files(struct bpf_iter__task_file *it)
{
	struct file *file = it->file;
	struct task_struct *task = it->task;
	struct userfaultfd_ctx *ctx;
	struct ev_file ev = {};
	void *head;

	if (!file || !task)
		return 0;
	ev.f_op = (__u64)file->f_op;
	if (userfaultfd_fops && ev.f_op != userfaultfd_fops)
		return 0;

	ev.pid = tgid_of(task);
	ev.fd = it->fd;
	if (userfaultfd_fops) {
		ctx = file->private_data;
		ev.ctx = (__u64)ctx;
		ev.mm = (__u64)BPF_CORE_READ(ctx, mm);
		head = (void *)ctx + bpf_core_field_offset(ctx->fd_wqh) +
		       bpf_core_field_offset(struct wait_queue_head, head);
		ev.waits = BPF_CORE_READ(ctx, fd_wqh.head.next) != head;
	}
	bpf_seq_write(it->meta->seq, &ev, sizeof(ev));
	return 0;
}

SEC("iter/task_vma")
int vmas(struct bpf_iter__task_vma *it)
{
	struct vm_area_struct *vma = it->vma;
	struct ev_vma ev = {};

	if (!vma || !it->task)
		return 0;
	ev.ctx = (__u64)vma->vm_userfaultfd_ctx.ctx;
	if (registered_only && !ev.ctx)
		return 0;

	ev.start = vma->vm_start;
	ev.end = vma->vm_end;
	ev.vm_flags = vma->vm_flags;
	if (ev.vm_flags & VM_HUGETLB)
		ev.page_size = BPF_CORE_READ(vma, vm_file, f_inode, i_sb, s_blocksize);
	bpf_seq_write(it->meta->seq, &ev, sizeof(ev));
	return 0;
}

SEC("iter/task")
int tasks(struct bpf_iter__task *it)
{
	struct task_struct *task = it->task;
	struct ev_task ev = {};

	if (!task || task->flags & PF_KTHREAD)
		return 0;
	/* A group whose leader has exited lives on in its threads. */
	if (task != task->group_leader && BPF_CORE_READ(task, group_leader, mm))
		return 0;
	ev.mm = (__u64)task->mm;
	if (!ev.mm)
		return 0;
	ev.pid = tgid_of(task);
	bpf_seq_write(it->meta->seq, &ev, sizeof(ev));
	return 0;
}
