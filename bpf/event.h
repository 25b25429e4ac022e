/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records that BPF programs write and libuffdctl reads. */
#ifndef UFFDCTL_EVENT_H
#define UFFDCTL_EVENT_H

#include <linux/types.h>

/* Kernel addresses (ctx, mm, f_op) are identities only: never followed, never printed. */

/* One descriptor of a userfaultfd (iter/task_file). */
struct ev_file {
	__u64 f_op;
	__u64 ctx; /* struct userfaultfd_ctx */
	__u64 mm;  /* whose memory it governs */
	__u32 pid; /* thread group, in the reader's pid namespace */
	__u32 fd;
	__u32 waits; /* somebody waits in read, poll or epoll for its messages */
	__u32 pad;
};

/* One mapping (iter/task_vma). */
struct ev_vma {
	__u64 start;
	__u64 end;
	__u64 vm_flags;
	__u64 ctx; /* 0: no userfaultfd */
	__u64 page_size;
};

/* One process (iter/task). */
struct ev_task {
	__u64 mm;
	__u32 pid;
	__u32 pad;
};

/* Which of its userfaultfd's queues a thread waits in. */
enum ev_queue {
	EV_QUEUED,    /* fault_pending_wqh: nobody has read the message */
	EV_DELIVERED, /* fault_wqh: read, not resolved */
	EV_EVENT,     /* event_wqh: fork, remap, remove, unmap */
};

/* The queues change while they are walked: an entry that is gone can lead anywhere, but not for ever. */
#define EV_MAX_WAITERS (1 << 14)

/* A thread that waits in a userfaultfd. */
struct ev_waiter {
	__u64 ctx;
	__u64 mm;
	__u64 addr;
	__u64 flags;	/* UFFD_PAGEFAULT_FLAG_* */
	__u64 slept_ns; /* since it last ran */
	__u32 pid;
	__u32 tid;
	__u32 event; /* UFFD_EVENT_* */
	__u32 queue; /* enum ev_queue */
	char comm[16];
};

#endif
