// SPDX-License-Identifier: GPL-2.0-only
/* Faults seen by fentry and fexit programs on the functions of userfaultfd. */
#define GET(p, field) ((p)->field)
#define FIRST_ARGUMENT(ctx) first_argument(ctx)
#include "bpf/watch/function.h"
#include "bpf/watch/failures.h"

char _license[] SEC("license") = "GPL";

SEC("fexit/handle_userfault")
int BPF_PROG(ends, struct vm_fault *vmf, unsigned long reason, unsigned int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ev_slot *s = slot_of(task, false);

	if (went_on(s, task))
		return 0;
	if (is_waiting(s))
		fault_ends(s, task, ret);
	else if (s && waited_before(s))
		s->word = EV_IDLE;
	else if (ret & VM_FAULT_RETRY && all_seen && is_wanted((__u64)task->mm))
		unseen_ends(s, task, vmf, reason);
	return 0;
}

SEC("fentry/userfaultfd_wake_function")
int BPF_PROG(wakes, struct wait_queue_entry *wq, unsigned int mode, int wake_flags, void *key)
{
	fault_woken(ctx, wq, key);
	return 0;
}

SEC("fexit/userfaultfd_read_iter")
int BPF_PROG(reads, struct kiocb *iocb, void *to, long ret)
{
	messages_read(iocb->ki_filp, ret);
	return 0;
}

/* Before Linux 6.10, which has userfaultfd_read_iter. */
SEC("fexit/userfaultfd_read")
int BPF_PROG(reads_plain, struct file *file, char *buf, unsigned long count, void *pos, long ret)
{
	messages_read(file, ret);
	return 0;
}

SEC("fexit/userfaultfd_ioctl")
int BPF_PROG(ioctl_ends, struct file *file, unsigned int cmd, unsigned long arg, long ret)
{
	if (ret < 0)
		ioctl_fails(file->private_data, cmd, ret);
	return 0;
}

SEC("fentry/userfaultfd_ioctl")
int BPF_PROG(resolves, struct file *file)
{
	resolver_comes(file);
	return 0;
}

/*
 * This program comes last: programs are attached in this order, and the end of each fault that is seen to begin must
 * be seen, too.
 */
SEC("fentry/handle_userfault")
int BPF_PROG(begins, struct vm_fault *vmf, unsigned long reason)
{
	fault_begins(vmf, reason);
	return 0;
}
