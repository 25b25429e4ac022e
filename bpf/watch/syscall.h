/* SPDX-License-Identifier: GPL-2.0-only */
/* The system call that a task is in, also of a 32-bit program. */
#ifndef UFFDCTL_BPF_WATCH_SYSCALL_H
#define UFFDCTL_BPF_WATCH_SYSCALL_H

#include "bpf/kernel.h"

#if defined(__TARGET_ARCH_x86)
#define IS_COMPAT(task) ((task)->thread_info.status & TS_COMPAT)
#define REGS_IP(regs) ((regs)->ip)
#define REGS_SYSCALL(regs) ((long)(regs)->orig_ax)
#define REGS_ARG0(regs, compat) ((compat) ? (regs)->bx : (regs)->di)
#define REGS_ARG1(regs, compat) ((compat) ? (regs)->cx : (regs)->si)
#define REGS_ARG2(regs) ((regs)->dx)
enum {
	NR_READ = 0,
	NR_IOCTL = 16,
	NR_READV = 19,
	NR_PREADV = 295,
	NR_PREADV2 = 327,
	NR_VM_READV = 310,
	NR_VM_WRITEV = 311,
	COMPAT_VM_READV = 347,
	COMPAT_VM_WRITEV = 348,
	COMPAT_PREADV = 333,
	COMPAT_PREADV2 = 378,
};
#elif defined(__TARGET_ARCH_arm64)
#define IS_COMPAT(task) ((task)->thread_info.flags & 1 << TIF_32BIT)
#define REGS_IP(regs) ((regs)->pc)
#define REGS_SYSCALL(regs) ((long)(regs)->syscallno)
#define REGS_ARG0(regs, compat) ((regs)->orig_x0)
#define REGS_ARG1(regs, compat) ((regs)->regs[1])
#define REGS_ARG2(regs) ((regs)->regs[2])
enum {
	NR_READ = 63,
	NR_IOCTL = 29,
	NR_READV = 65,
	NR_PREADV = 69,
	NR_PREADV2 = 286,
	NR_VM_READV = 270,
	NR_VM_WRITEV = 271,
	COMPAT_VM_READV = 376,
	COMPAT_VM_WRITEV = 377,
	COMPAT_PREADV = 361,
	COMPAT_PREADV2 = 392,
};
#endif

enum {
	COMPAT_READ = 3,
	COMPAT_IOCTL = 54,
	COMPAT_READV = 145,
};

#define IOC_TYPE(cmd) (((cmd) >> _IOC_TYPESHIFT) & _IOC_TYPEMASK)
#define IOC_NR(cmd) ((cmd)&_IOC_NRMASK)

static inline struct pt_regs *regs_of(struct task_struct *task)
{
	return (struct pt_regs *)bpf_task_pt_regs(task);
}

/* The user-mode instruction of the current task; in a system call, the one after it; 0: it has no user mode. */
static inline __u64 user_ip(struct task_struct *task)
{
	return task->flags & PF_KTHREAD ? 0 : REGS_IP(regs_of(task));
}

/* The command of the ioctl that the current task is in; 0: none. */
static inline __u32 ioctl_of(struct task_struct *task)
{
	struct pt_regs *regs = regs_of(task);

	if (task->flags & PF_KTHREAD)
		return 0;
	/* In a 32-bit program this number is another call, which has no such command. */
	if (REGS_SYSCALL(regs) == NR_IOCTL)
		return REGS_ARG1(regs, false);
	return REGS_SYSCALL(regs) == COMPAT_IOCTL && IS_COMPAT(task) ? REGS_ARG1(regs, true) : 0;
}

#endif
