/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records that BPF programs write and libuffdctl reads. */
#ifndef UFFDCTL_EVENT_H
#define UFFDCTL_EVENT_H

#include <linux/types.h>

/* Kernel addresses (ctx, mm, f_op) are identities only: never followed, never printed. */

/* Descriptors that one look has room for. */
#define EV_MAX_FILES (1 << 14)

/* One descriptor of a userfaultfd. */
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
	__u64 vm_ops;	/* 0: anonymous memory */
	__u64 fs_magic; /* of the file's super block; 0: no file */
	__u32 dev;	/* likewise */
	__u32 mode;	/* likewise, of its inode: S_IFMT */
};

/* The mapping at an address (iter/task). */
struct ev_vma_at {
	struct ev_vma vma;
	__u64 inode; /* 0: of no file */
	__u64 offset;
	__u32 dev; /* as the kernel numbers it: 12 bits, 20 bits */
	__s32 err; /* -ENOENT, -EBUSY: somebody changes mappings just now */
};

/* The memory of one process (iter/task). */
struct ev_task {
	__u64 mm;
	__u64 process; /* struct signal_struct: stays over exec */
	__u64 parent;  /* that of its parent */
	__u64 start_ns;
	__u32 pid;
	__u32 pad;
};

/* For choose_process. */
struct ev_process {
	__u64 process;
	__u64 mm; /* 0: it is not to be watched */
};

/* Which of its userfaultfd's queues a thread waits in. */
enum ev_queue {
	EV_QUEUED,    /* fault_pending_wqh: nobody has read the message */
	EV_DELIVERED, /* fault_wqh: read, not resolved */
	EV_EVENT,     /* event_wqh: fork, remap, remove, unmap */
};

/* Threads that one look has room for. */
#define EV_MAX_WAITERS (1 << 14)

/* Userfaultfds whose queues changed faster than they could be walked: so many are told by their address. */
#define EV_MAX_TORN 64

/* A thread that waits in a userfaultfd. */
struct ev_waiter {
	__u64 task;
	__u64 ctx;
	__u64 mm;
	__u64 addr;
	__u64 flags;	/* UFFD_PAGEFAULT_FLAG_* */
	__u64 slept_ns; /* since it last ran; all ones: not known */
	__u32 pid;
	__u32 tid;
	__u32 event; /* UFFD_EVENT_* */
	__u32 queue; /* enum ev_queue */
	char comm[16];
};

/* How a fault ended. */
enum ev_end {
	EV_WOKEN,      /* by a range operation of a userfaultfd */
	EV_SIGNAL,     /* by a signal to the thread */
	EV_RELEASED,   /* by the last close of the userfaultfd */
	EV_NOT_WAITED, /* its page was there before it slept */
	EV_NR_ENDS,
};

enum ev_kind {
	EV_MINOR,
	EV_MISSING,
	EV_WP,
	EV_RWP,
	EV_NR_KINDS,
};

/* Userfaultfds of one memory that the backend sched looks into. */
#define EV_MAX_CTXS 16

/* Waits of 2^i microseconds and less, the last one of more. */
#define EV_NR_BUCKETS 26

#define EV_OP_NONE 0xff

#define EV_MAX_RANGES 64

/* What to watch: set by the loader before the programs are attached. */
struct ev_watch_config {
	__u64 fops;	 /* userfaultfd_fops */
	__u64 pid_ns;	 /* the loader's */
	__u64 vm_minor;	 /* vm_flags: VM_UFFD_MINOR, */
	__u64 vm_rwp;	 /* VM_UFFD_RWP; 0: not in this kernel */
	__u32 level;	 /* its depth */
	__u32 stream;	 /* records are wanted */
	__u32 some_only; /* processes: those in the map alone */
	__u32 children;	 /* and those that they start */
	__u32 kinds;	 /* 1 << enum ev_kind; 0: all */
	__u32 access;	 /* 1: read, 2: write; 0: both */
	__u32 nr_ranges; /* 0: everywhere */
	__u32 all_seen;	 /* each thread that waited before has a slot */
	struct {
		__u64 start, end;
	} ranges[EV_MAX_RANGES];
};

/* Totals, one set a CPU: exact whatever the stream loses. */
struct ev_stats {
	__u64 faults[EV_NR_KINDS];
	__u64 ended[EV_NR_ENDS];
	__u64 blocked;	  /* that slept */
	__u64 delivered;  /* messages that were read */
	__u64 lost;	  /* records that the stream had no room for */
	__u64 missed;	  /* faults that there was no room to follow */
	__u64 unmeasured; /* ended faults whose wait is not known: in no bucket */
	/* sched: messages of faults by what their readers say, and faults whose message is known to be read. */
	__u64 messages[EV_NR_KINDS];
	__u64 marked[EV_NR_KINDS];
	__u64 buckets[EV_NR_BUCKETS];
	__u64 max_wait_ns;
};

/* A fault that has ended. */
struct ev_fault {
	__u64 start_ns; /* CLOCK_MONOTONIC */
	__u64 end_ns;
	__u64 read_ns; /* its message was read; 0: it was not */
	__u64 ctx;
	__u64 mm;
	__u64 addr;
	__u64 flags;	  /* UFFD_PAGEFAULT_FLAG_* */
	__u64 ip;	  /* user-mode instruction; of the system call, if in one */
	__u64 process_ns; /* start of the thread's process, if the memory is that one's; else 0 */
	__u32 pid, tid;
	__u32 resolver_pid, resolver_tid;
	char comm[16];
	char resolver_comm[16];
	__u32 op;  /* _UFFDIO_*, or EV_OP_NONE */
	__u32 end; /* enum ev_end */
	__u32 kind;
	__u32 unmeasured; /* how long it waited is not known */
};

enum ev_slot_state {
	EV_IDLE,
	EV_FILLING,
	EV_WAITING,
	EV_BEFORE,	/* waited when watching began: not counted */
	EV_BEFORE_READ, /* likewise, and its message had been read */
	EV_DONE,	/* its last fault has ended, and is counted, but for whether it slept */
	EV_ENDING,	/* its fault ended unseen, and is being counted */
	EV_TAKEN_OVER,	/* sched: counted as done while somebody else was filling the slot */
};

/*
 * Beside its state, the word of a slot has for sched what is known of the fault, and a number: all of it
 * changes at once or not at all, whoever sees a sign of the fault at the same time.
 */
#define EV_STATE_MASK 0xff
#define EV_READ 0x100	/* its message was read, and that is counted */
#define EV_SLEPT 0x200	/* it slept, and that is counted */
#define EV_NEXT 0x10000 /* added when the slot is taken for another fault */

/* A thread and the fault that it waits in. */
struct ev_slot {
	__u64 task;  /* whose it is; 0: nobody's */
	__u32 state; /* enum ev_slot_state, with the above */
	__u32 slept;
	__u64 uwq;	 /* struct userfaultfd_wait_queue; 0: not known */
	__u64 switches;	 /* of the thread's own will, before; sched: when the slot was taken */
	__u64 completed; /* sched: page faults of the thread that were over by then */
	__u64 arrival;	 /* sched: when the thread last came on a CPU, if the fault ended while it slept */
	__u64 file;	 /* that the thread read messages from last (kprobe) */
	struct ev_fault f;
};

/*
 * Slots are an array: a thread's is at its place or among the next few. That costs a fifth of a
 * lookup in a hash map, and there are four or five of them a fault. With 10,000 threads at once
 * some ten find no room.
 */
#define EV_NR_SLOTS (1 << 15)
#define EV_MAX_PROBES 8

static inline __u32 ev_slot_place(__u64 task, __u32 probe)
{
	/* 32 bits of it: the verifier lets nobody calculate with a pointer that it knows. */
	return ((((__u32)task >> 6) * 0x9e3779b1u >> 17) + probe) & (EV_NR_SLOTS - 1);
}

#endif
