// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults by kprobes on the functions of userfaultfd, where fentry can't be had.
 *
 * A kretprobe has few instances, and each thread that waits takes one: those that find none
 * are seen to end by the scheduler. A thread that slept in handle_userfault() and runs again
 * has ended its wait; one that did not sleep shows it at its next sleep, fault or exit.
 */
#define GET(p, field) READ(typeof(*(p)), p, field)
#define MAY_SKIP false
#include "bpf/watch/function.h"

#if defined(__TARGET_ARCH_x86)
#define ARG0(regs) ((regs)->di)
#define ARG1(regs) ((regs)->si)
#define ARG3(regs) ((regs)->cx)
#define RESULT(regs) ((regs)->ax)
#elif defined(__TARGET_ARCH_arm64)
#define ARG0(r) ((r)->regs[0])
#define ARG1(r) ((r)->regs[1])
#define ARG3(r) ((r)->regs[3])
#define RESULT(r) ((r)->regs[0])
#endif

SEC("kretprobe/handle_userfault")
int ends(struct pt_regs *regs)
{
	fault_ends(RESULT(regs));
	return 0;
}

SEC("kprobe/userfaultfd_wake_function")
int wakes(struct pt_regs *regs)
{
	struct wait_queue_entry *wq = (void *)ARG0(regs);

	fault_woken(BPF_CORE_READ(wq, private), (__u64)wq, (void *)ARG3(regs));
	return 0;
}

SEC("tp_btf/sched_switch")
int sched_switch(__u64 *args)
{
	bool preempt = args[0];
	struct task_struct *prev = (void *)args[1], *next = (void *)args[2];
	unsigned int prev_state = args[3];
	struct found found = {};
	struct ev_slot *s;

	if (!nr_taken)
		return 0;
	s = slot_of(next, false);
	if (s && s->state == EV_WAITING && s->slept)
		fault_ended(s, EV_SIGNAL, true);
	if (preempt || !prev_state)
		return 0;
	s = slot_of(prev, false);
	if (!s || s->state != EV_WAITING || s->slept)
		return 0;
	if (find_in_ctx((void *)s->f.ctx, bpf_get_current_task(), &found))
		s->slept = 1;
	else
		fault_ended(s, EV_NOT_WAITED, false);
	return 0;
}

/* Of which file a read that goes on reads. */
static int read_begins(struct file *file)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ev_slot *s = slot_of(task, false);

	/* No fault is missed by it if there is none. */
	if (!s)
		s = take_place((__u64)task);
	if (s)
		s->file = (__u64)file;
	return 0;
}

SEC("kprobe/userfaultfd_read_iter")
int read_iter(struct pt_regs *regs)
{
	struct kiocb *iocb = (void *)ARG0(regs);

	return read_begins(GET(iocb, ki_filp));
}

/* Before it was made an iterator's (Linux 6.10). */
SEC("kprobe/userfaultfd_read")
int read_plain(struct pt_regs *regs)
{
	return read_begins((void *)ARG0(regs));
}

static int read_ends(long ret)
{
	struct ev_slot *s = slot_of(bpf_get_current_task_btf(), false);

	if (s && s->file)
		messages_read((void *)s->file, ret);
	return 0;
}

SEC("kretprobe/userfaultfd_read_iter")
int read_iter_ends(struct pt_regs *regs)
{
	return read_ends(RESULT(regs));
}

SEC("kretprobe/userfaultfd_read")
int read_plain_ends(struct pt_regs *regs)
{
	return read_ends(RESULT(regs));
}

SEC("kprobe/userfaultfd_ioctl")
int resolves(struct pt_regs *regs)
{
	resolver_comes((void *)ARG0(regs));
	return 0;
}

/* Last: programs are attached in this order, and what begins must be seen to end. */
SEC("kprobe/handle_userfault")
int begins(struct pt_regs *regs)
{
	fault_begins((void *)ARG0(regs), ARG1(regs));
	return 0;
}
