/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records that BPF programs write and libuffdctl reads. */
#ifndef UFFDCTL_EVENT_H
#define UFFDCTL_EVENT_H

#include <linux/types.h>

/* Kernel addresses (ctx, mm, f_op) are identities only: never followed, never printed. */

/* One descriptor of a userfaultfd (iter/task_file). */
struct ev_file {
	__u64 f_op;
	__u64 ctx;	/* struct userfaultfd_ctx */
	__u64 mm;	/* whose memory it governs */
	__u32 pid;	/* thread group, in the reader's pid namespace */
	__u32 fd;
	__u32 waits;	/* somebody waits in read, poll or epoll for its messages */
	__u32 pad;
};

/* One mapping (iter/task_vma). */
struct ev_vma {
	__u64 start;
	__u64 end;
	__u64 vm_flags;
	__u64 ctx;	/* 0: no userfaultfd */
	__u64 page_size;
};

/* One process (iter/task). */
struct ev_task {
	__u64 mm;
	__u32 pid;
	__u32 pad;
};

#endif
