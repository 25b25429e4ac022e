// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults seen by kprobes on the functions of userfaultfd, if fentry is not available.
 *
 * A kretprobe has few instances, and each waiter takes one: for faults that find none, sched_switch shows the end. If
 * a thread that slept in handle_userfault() runs again, its wait has ended; the end of a fault that did not sleep
 * shows at the thread's next sleep, fault or exit.
 */
#define GET(p, field) READ(typeof(*(p)), p, field)
#define FIRST_ARGUMENT(ctx) PT_REGS_PARM1((struct pt_regs *)(ctx))
#include "bpf/watch/function.h"
#include "bpf/watch/descriptor.h"
#include "bpf/watch/failures.h"

char _license[] SEC("license") = "GPL";

SEC("kretprobe/handle_userfault")
int BPF_KRETPROBE(ends, unsigned int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ev_slot *s = slot_of(task, false);

	if (!went_on(s, task) && is_waiting(s))
		fault_ends(s, task, ret);
	return 0;
}

SEC("kprobe/userfaultfd_wake_function")
int BPF_KPROBE(wakes, struct wait_queue_entry *wq, unsigned int mode, int wake_flags, void *key)
{
	fault_woken(ctx, wq, key);
	return 0;
}

/* The thread with this slot goes to sleep. */
static void goes_to_sleep(struct ev_slot *s)
{
	struct found found = {};

	if (find_in_ctx((void *)s->f.ctx, bpf_get_current_task(), &found))
		s->slept = 1;
	else if (!found.unsure)
		fault_ended(s, EV_NOT_WAITED, false);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	struct ev_slot *s;

	if (!nr_taken)
		return 0;
	s = slot_of(next, false);
	if (is_waiting(s) && s->slept)
		fault_ended(s, EV_SIGNAL, true);
	if (preempt || !prev_state)
		return 0;
	s = slot_of(prev, false);
	if (is_waiting(s) && !s->slept)
		goes_to_sleep(s);
	return 0;
}

/* The current task reads this file until its call ends. */
static int read_begins(struct file *file)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ev_slot *s = slot_of(task, false);

	/* take_place(), not claim_slot(): without room here, no fault is missed. */
	if (!s)
		s = take_place((__u64)task);
	if (s)
		s->file = (__u64)file;
	return 0;
}

static int read_ends(long ret)
{
	struct ev_slot *s = slot_of(bpf_get_current_task_btf(), false);

	if (s && s->file)
		messages_read((void *)s->file, ret);
	return 0;
}

SEC("kprobe/userfaultfd_read_iter")
int BPF_KPROBE(read_iter, struct kiocb *iocb)
{
	return read_begins(GET(iocb, ki_filp));
}

SEC("kretprobe/userfaultfd_read_iter")
int BPF_KRETPROBE(read_iter_ends, long ret)
{
	return read_ends(ret);
}

/* Before Linux 6.10, which has userfaultfd_read_iter. */
SEC("kprobe/userfaultfd_read")
int BPF_KPROBE(read_plain, struct file *file)
{
	return read_begins(file);
}

SEC("kretprobe/userfaultfd_read")
int BPF_KRETPROBE(read_plain_ends, long ret)
{
	return read_ends(ret);
}

SEC("kretprobe/userfaultfd_ioctl")
int BPF_KRETPROBE(ioctl_ends, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (ret < 0)
		ioctl_fails(ctx_of_fd(task, REGS_ARG0(regs_of(task), IS_COMPAT(task))), ioctl_of(task), ret);
	return 0;
}

SEC("kprobe/userfaultfd_ioctl")
int BPF_KPROBE(resolves, struct file *file)
{
	resolver_comes(file);
	return 0;
}

/*
 * This program comes last: programs are attached in this order, and the end of each fault that is seen to begin must
 * be seen, too.
 */
SEC("kprobe/handle_userfault")
int BPF_KPROBE(begins, struct vm_fault *vmf, unsigned long reason)
{
	fault_begins(vmf, reason);
	return 0;
}
