/* SPDX-License-Identifier: GPL-2.0-only */
/* The few kernel types that the programs read. CO-RE finds the real offsets of the fields when loading. */
#ifndef UFFDCTL_BPF_KERNEL_H
#define UFFDCTL_BPF_KERNEL_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
/* The names of registers are the kernel's own: see struct pt_regs below. */
#define __VMLINUX_H__
#include <bpf/bpf_tracing.h>
#include <linux/ioctl.h>
#include <linux/userfaultfd.h>

#include "bpf/event.h"

#define PF_EXITING 0x00000004
#define PF_DUMPCORE 0x00000200
#define PF_KTHREAD 0x00200000
#define VM_UFFD_WP 0x00001000

/* As list_del() leaves an entry. */
#define LIST_POISON1 0xdead000000000100

/* Not in the headers of every build machine. */
#ifndef UFFD_FEATURE_EXACT_ADDRESS
#define UFFD_FEATURE_EXACT_ADDRESS (1 << 11)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct list_head {
	struct list_head *next, *prev;
};

struct wait_queue_head {
	struct list_head head;
};

struct wait_queue_entry {
	void *private;
	struct list_head entry;
};

/* fs/select.c */
struct poll_wqueues {
	struct task_struct *polling_task;
};

struct sched_entity {
	__u64 sum_exec_runtime;
	__u64 prev_sum_exec_runtime; /* when it last got a CPU */
};

struct sched_info {
	unsigned long long last_arrival; /* on a CPU */
};

struct pid_namespace;

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct mm_struct {
	unsigned long start_brk, brk, start_stack;
};

struct anon_vma_name;

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *open_fds;
};

struct files_struct {
	struct fdtable *fdt;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long bx, cx, ax, dx, si, di, orig_ax, ip;
};

#define TS_COMPAT 0x0002

struct thread_info {
	__u32 status;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31], pc, orig_x0;
	int syscallno;
};

/* The same, with the names that libbpf's macros use. */
struct user_pt_regs {
	__u64 regs[31];
};

#define TIF_32BIT 22

struct thread_info {
	unsigned long flags;
};
#endif

struct sigpending {
	struct {
		unsigned long sig[1];
	} signal;
};

struct signal_struct {
	struct sigpending shared_pending;
	struct {
		int counter;
	} live; /* threads */
	unsigned int flags;
};

#define SIGNAL_GROUP_EXIT 4

struct task_struct {
	struct thread_info thread_info;
	void *stack;
	struct files_struct *files;
	struct signal_struct *signal;
	struct sigpending pending;
	struct {
		unsigned long sig[1];
	} blocked;
	unsigned int flags;
	int pid;
	int tgid;
	unsigned int on_rq;
	unsigned int on_cpu; /* it is running; only with CONFIG_SMP; a byte since 7.2 */
	unsigned long nvcsw;
	unsigned long min_flt, maj_flt;
	struct sched_entity se;
	struct sched_info sched_info; /* CONFIG_SCHED_INFO */
	char comm[16];
	struct mm_struct *mm;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	__u64 start_time; /* CLOCK_MONOTONIC */
	struct pid *thread_pid;
};

struct super_block {
	__u32 s_dev;
	unsigned long s_blocksize;
	unsigned long s_magic;
};

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
};

struct file {
	const void *f_op;
	void *private_data;
	struct inode *f_inode;
};

/* fs/eventpoll.c */
struct eventpoll {
	struct wait_queue_head wq; /* the threads in epoll_wait */
};

struct epoll_filefd {
	struct file *file;
};

struct epitem {
	struct epoll_filefd ffd;
	struct eventpoll *ep;
};

/* Since Linux 7.2. */
struct epoll_key {
	struct file *file;
};

struct epitem___key {
	struct epoll_key ffd;
};

struct eppoll_entry {
	struct epitem *base;
	struct wait_queue_entry wait;
	struct wait_queue_head *whead;
};

/* fs/userfaultfd.c; mm/userfaultfd.c since 7.3 */
struct userfaultfd_ctx {
	struct wait_queue_head fault_pending_wqh;
	struct wait_queue_head fault_wqh;
	struct wait_queue_head fd_wqh;
	struct wait_queue_head event_wqh;
	unsigned int flags;
	unsigned int features;
	bool released;
	struct mm_struct *mm;
};

struct userfaultfd_wait_queue {
	struct uffd_msg msg;
	struct wait_queue_entry wq;
	struct userfaultfd_ctx *ctx;
	bool waken;
};

struct userfaultfd_wake_range {
	unsigned long start;
	unsigned long len;
};

struct vm_userfaultfd_ctx {
	struct userfaultfd_ctx *ctx;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_flags;
	const void *vm_ops;
	unsigned long vm_pgoff;
	struct file *vm_file;
	struct mm_struct *vm_mm;
	struct anon_vma_name *anon_name; /* CONFIG_ANON_VMA_NAME */
	struct vm_userfaultfd_ctx vm_userfaultfd_ctx;
};

enum fault_flag {
	FAULT_FLAG_WRITE = 1 << 0,
	FAULT_FLAG_ALLOW_RETRY = 1 << 2,
	FAULT_FLAG_RETRY_NOWAIT = 1 << 3,
	FAULT_FLAG_USER = 1 << 6,
};

enum vm_fault_reason {
	VM_FAULT_RETRY = 0x400,
};

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long address;
	unsigned long real_address;
	enum fault_flag flags;
};

/* kernel-patches/ */
enum uffd_end {
	UFFD_END_WOKEN,
	UFFD_END_RELEASED, /* by the last close */
	UFFD_END_SIGNAL,
	UFFD_END_SPURIOUS,   /* by a wake-up that was not for this wait */
	UFFD_END_NOT_WAITED, /* its page was there before it slept */
};

struct kiocb {
	struct file *ki_filp;
};

struct bpf_iter_meta {
	struct seq_file *seq;
};

#pragma clang attribute pop

/*
 * The contexts of iterators are laid out alike in all kernels. Without relocations for them: each type in a relocation
 * takes one of 31 places in a cache of the kernel, and a type that has lost its place is searched in all of its BTF.
 */
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
};

/*
 * The first argument of a program with typed arguments, as a number: a pointer can't be passed to a function that is
 * verified separately.
 */
static inline __u64 first_argument(const unsigned long long *ctx)
{
	__u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), ctx);
	return number;
}

#endif
