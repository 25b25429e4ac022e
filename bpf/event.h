/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Everything that BPF programs and libuffdctl share: each record and each constant. Both compilers read this file,
 * and check the layouts at the end.
 */
#ifndef UFFDCTL_EVENT_H
#define UFFDCTL_EVENT_H

#include <linux/types.h>
#include <stddef.h>

/* Constants of the kernel: one is in no header, one is not in the headers of every machine. */
#define VM_MAYSHARE 0x00000080
#define VM_HUGETLB 0x00400000
#ifndef UFFD_PAGEFAULT_FLAG_RWP
#define UFFD_PAGEFAULT_FLAG_RWP (1 << 3)
#endif

/* ---- looking: bpf/iter.bpf.c, bpf/pending.bpf.c ---- */

/* For libuffdctl, kernel addresses (ctx, mm, f_op) are identities only: it never prints them. */

/* Maximum number of descriptors in one look. */
#define EV_MAX_FILES (1 << 14)

/* One descriptor of a userfaultfd. */
struct ev_file {
	__u64 f_op;
	__u64 ctx; /* struct userfaultfd_ctx */
	__u64 mm;  /* the memory that it governs */
	__u32 pid; /* thread group, in the reader's pid namespace */
	__u32 fd;
	__u32 has_reader; /* a handler waits in read, poll or epoll for its messages */
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
	__u32 dev;	/* likewise, as the kernel numbers it: 12 bits, 20 bits */
	__u32 mode;	/* likewise, of its inode: S_IFMT */
	__u64 inode;	/* likewise */
	__u64 offset;	/* likewise */
	__u64 file;	/* likewise, struct file: mappings with the same one have the same name */
	__u64 named;	/* it may have a name of its own, such as [heap] */
};

/* The mapping at an address (iter/task). */
struct ev_vma_at {
	struct ev_vma vma;
	__s32 err; /* -ENOENT, -EBUSY: mappings are being changed now */
	__u32 pad;
};

/* The memory of one process (iter/task). */
struct ev_task {
	__u64 mm;
	__u64 process; /* struct signal_struct: the same after exec */
	__u64 parent;  /* that of its parent */
	__u64 start_ns;
	__u32 pid;
	__u32 pad;
};

/* The queue of the userfaultfd in which a thread waits. */
enum ev_queue {
	EV_QUEUED,    /* fault_pending_wqh: no handler has read the message */
	EV_DELIVERED, /* fault_wqh: delivered, not resolved */
	EV_EVENT,     /* event_wqh: fork, remap, remove, unmap */
};

/* Maximum number of threads in one look. */
#define EV_MAX_WAITERS (1 << 14)

/* Maximum number of addresses of userfaultfds whose queues changed faster than they could be walked. */
#define EV_MAX_TORN 64

/* A thread that waits on a userfaultfd. */
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

/* Maximum number of threads that wait for messages in one look. */
#define EV_MAX_READERS (1 << 12)

/* A thread that waits for the messages of a userfaultfd. */
struct ev_reader {
	__u64 ctx;
	__u32 tid; /* in the reader's pid namespace; 0: not there */
	__u32 pad;
};

/* ---- watching: bpf/watch/ ---- */

/* The numbers of the modes' bits. */
enum ev_kind {
	EV_MISSING,
	EV_WP,
	EV_MINOR,
	EV_RWP,
	EV_NR_KINDS,
};

enum ev_access {
	EV_READ,
	EV_WRITE,
};

/* How a fault ended. */
enum ev_end {
	EV_WOKEN,      /* by an ioctl on the userfaultfd */
	EV_SIGNAL,     /* by a signal to the thread */
	EV_RELEASED,   /* by the last close of the userfaultfd */
	EV_NOT_WAITED, /* its page was there before it slept */
	EV_NR_ENDS,
};

/* Maximum number of processes, and of their memories, if not all are watched. */
#define EV_MAX_PROCESSES 4096

/* For the program choose_process. */
struct ev_process {
	__u64 process; /* 0: is this memory chosen? */
	__u64 mm;      /* 0: it is not to be watched */
	__u64 parent;  /* 0, or it is chosen only if this process is */
};

enum ev_watch_flags {
	EV_WATCH_STREAM = 1 << 0,   /* records are wanted */
	EV_WATCH_SOME = 1 << 1,	    /* only processes that are chosen */
	EV_WATCH_CHILDREN = 1 << 2, /* and their descendants */
	EV_WATCH_STEPS = 1 << 3,    /* each step is seen: a slot has nvcsw of its fault's beginning */
	EV_WATCH_CHOICE = 1 << 4,   /* only faults of some kinds, by some access or in some ranges */
};

#define EV_MAX_RANGES 64

struct ev_range {
	__u64 start, end;
};

/* What to watch: set before the programs are loaded, and constant for them. */
struct ev_watch_config {
	__u64 fops;	 /* userfaultfd_fops */
	__u64 pid_ns;	 /* the loader's */
	__u64 vm_minor;	 /* vm_flags: VM_UFFD_MINOR, */
	__u64 vm_rwp;	 /* VM_UFFD_RWP; 0: not in this kernel */
	__u32 level;	 /* depth of pid_ns */
	__u32 flags;	 /* enum ev_watch_flags */
	__u32 kinds;	 /* 1 << enum ev_kind; 0: all */
	__u32 access;	 /* 1 << enum ev_access; 0: both */
	__u32 nr_ranges; /* 0: everywhere */
	__u32 pad;
	struct ev_range ranges[EV_MAX_RANGES];
};

/* Backend sched: maximum number of userfaultfds that govern one memory. */
#define EV_MAX_CTXS 16

/* Backend sched: maximum number of memories that userfaultfds govern. */
#define EV_MAX_GOVERNED 4096

/*
 * Backend sched: maximum number of userfaultfds, of all watched memories, that are searched for a thread that touches
 * the memory of another process.
 */
#define EV_MAX_ALL_CTXS 64

struct ev_ctxs {
	__u64 ctx[EV_MAX_CTXS]; /* 0: none */
};

/* What the loader of alarm.bpf.c waits for. */
enum ev_alarm {
	EV_ALARM_OFF,
	EV_ALARM_WAITS,	  /* a thread begins to wait */
	EV_ALARM_NONE,	  /* a thread goes on, and no other waits for the memory of its process */
	EV_ALARM_GOES_ON, /* a thread goes on that may have waited */
};

/* alarm.bpf.c: in the last place of a struct ev_ctxs, there are more. */
#define EV_MORE_CTXS (~0ull)

/* Backend sched: most threads that go to sleep have a memory that is not governed, as this bit says for many. */
#define EV_MM_BITS 4096

static inline __u32 ev_mm_bit(__u64 mm)
{
	return ((__u32)mm >> 6) * 0x9e3779b1u >> 20;
}

/*
 * Waits are counted in buckets by their length: the first one up to 2^EV_SHORTEST ns, then EV_PARTS buckets for each
 * doubling, EV_DOUBLINGS times; the last one is for longer waits.
 */
#define EV_SHORTEST 10
#define EV_DOUBLINGS 25
#define EV_PARTS 16
#define EV_NR_BUCKETS (EV_DOUBLINGS * EV_PARTS + 2)

/* What is counted in buckets. */
enum ev_wait {
	EV_WAIT,	 /* until a thread is woken */
	EV_WAIT_QUEUED,	 /* the part of it until its message is read */
	EV_WAIT_HANDLED, /* the part of it after that */
	EV_NR_WAITS,
};

/* Totals: exact even if the stream loses records. CPUs have a set each; with more CPUs, some share one. */
#define EV_NR_STATS 64

struct ev_stats {
	__u64 faults[EV_NR_KINDS];
	__u64 ended[EV_NR_KINDS][EV_NR_ENDS];
	__u64 blocked;	  /* that slept */
	__u64 delivered;  /* messages that were read */
	__u64 lost;	  /* records for which the stream had no room */
	__u64 missed;	  /* faults that could not be followed for lack of room */
	__u64 unmeasured; /* ended faults whose waiting time is not known: in no bucket */
	/* sched: messages counted at their readers, and faults whose message is known to be read. */
	__u64 messages[EV_NR_KINDS];
	__u64 marked[EV_NR_KINDS];
} __attribute__((aligned(64)));

/* Totals by thread, team and resolver are arrays; their first item is for those that found no room. */
#define EV_MAX_THREADS 8192
#define EV_MAX_TEAMS 1024
#define EV_MAX_RESOLVERS 257
/* The second item has the waits that no ioctl ended, and never a number of faults. */
#define EV_NO_RESOLVER 1

struct ev_thread {
	__u32 pid, tid;
	char comm[16];
	__u64 faults;
	__u64 wait_ns;
};

/* A team: the threads of a process whose names differ only in their digits. */
struct ev_team {
	__u32 pid;
	__u32 nr_threads; /* that have had a fault, and have not exited */
	__u32 nr_waiting;
	__u32 pad;
	char name[16]; /* with # for digits */
	__u64 faults;
	__u64 wait_ns;
	__u64 all_since; /* when the last thread that did not wait began to wait; 0: not all wait */
	__u64 all_ns;	 /* how long all threads waited at once */
};

/* A thread whose ioctls ended faults, and the waits that it ended. All items together have all waits. */
struct ev_resolver {
	__u32 pid, tid;
	char comm[16];
	__u64 faults;
	__u64 max_ns[EV_NR_WAITS];
	__u64 buckets[EV_NR_WAITS][EV_NR_BUCKETS];
};

/*
 * Ioctls that failed, by thread, command and error: an array like that of the slots. The last item is for those that
 * found no room.
 */
#define EV_MAX_FAILURES 1025
#define EV_NO_ROOM (EV_MAX_FAILURES - 1)

struct ev_failure {
	__u64 key; /* of thread, command and error; 0: none */
	__u32 pid, tid;
	char comm[16];
	__u32 op;  /* _UFFDIO_* */
	__u32 err; /* errno */
	__u64 count;
};

static inline __u32 ev_failure_place(__u64 key, __u32 probe)
{
	return ((__u32)(key * 0x9e3779b97f4a7c15ull >> 54) + probe) & (EV_NO_ROOM - 1);
}

#define EV_OP_NONE 0xff

/* A fault that has ended. */
struct ev_fault {
	__u64 start_ns; /* CLOCK_MONOTONIC */
	__u64 end_ns;
	__u64 read_ns; /* when its message was read; 0: it was not */
	__u64 ctx;
	__u64 mm;
	__u64 addr;
	__u64 flags;	  /* UFFD_PAGEFAULT_FLAG_* */
	__u64 ip;	  /* user-mode instruction; in a system call, the one after it */
	__u64 process_ns; /* start time of the thread's process, if it has this memory; otherwise 0 */
	__u32 pid, tid;
	__u32 resolver_pid, resolver_tid;
	__u32 reader_pid, reader_tid; /* who read its message; 0: not known */
	char comm[16];
	char resolver_comm[16];
	char reader_comm[16];
	__u32 op;  /* _UFFDIO_*, or EV_OP_NONE */
	__u32 end; /* enum ev_end */
	__u32 kind;
	__u32 unmeasured; /* its waiting time is not known */
	/* For the programs: where its totals are. */
	__u32 thread, team, resolver;
	__u32 pad;
};

/* The part of a struct ev_fault that is handed out. */
#define EV_FAULT_BYTES offsetof(struct ev_fault, thread)

enum ev_slot_state {
	EV_IDLE,
	EV_FILLING,
	EV_WAITING,
	EV_BEFORE,	/* waited when watching began: not counted */
	EV_BEFORE_READ, /* the same, and its message has been read */
	EV_DONE,	/* its last fault has ended and is counted, except perhaps that it slept */
	EV_LEAVING,	/* woken, and all is counted; it has not left handle_userfault() yet */
	EV_ENDING,	/* nobody saw its fault end; it is being counted */
	EV_TAKEN_OVER,	/* sched: counted as ended while another CPU was filling the slot */
};

/*
 * For sched, the word of a slot has its state, what is known about the fault, and a number. They change together
 * atomically, since several CPUs may see signs of the fault at the same time.
 */
enum ev_slot_word {
	EV_STATE_MASK = 0xff,
	EV_DELIVERY_SEEN = 0x100, /* its message was read, and this is counted */
	EV_SLEEP_SEEN = 0x200,	  /* it slept, and this is counted */
	EV_NEXT = 0x10000,	  /* added when the slot is taken for another fault */
};

/* A thread and the fault that it waits in. */
struct ev_slot {
	__u64 task; /* the thread that it belongs to; 0: none */
	__u32 word; /* enum ev_slot_state, and enum ev_slot_word */
	__u32 slept;
	__u64 uwq;	 /* sched: struct userfaultfd_wait_queue; 0: not known */
	__u64 switches;	 /* voluntary context switches of the thread before the fault; sched: when the slot was taken */
	__u64 completed; /* sched: page faults that the thread had completed by then */
	__u64 arrival;	 /* sched: when the thread last got a CPU, if the fault ended while it slept */
	__u64 known_mm;	 /* the memory of the fault for which thread and team were set */
	__u32 thread, team, resolver;
	__u32 pad;
	__u64 file; /* kprobe: the struct file from which the thread last read messages */
	struct ev_fault f;
};

static inline __u32 ev_slot_state(__u32 word)
{
	return word & EV_STATE_MASK;
}

/*
 * Slots are an array: the slot of a thread is at its hashed place or among the next few. This costs a fifth of a
 * look-up in a hash map, and a fault needs four or five look-ups. With 10,000 threads at once, some ten find no room.
 */
#define EV_NR_SLOTS (1 << 15)
#define EV_MAX_PROBES 8

static inline __u32 ev_slot_place(__u64 task, __u32 probe)
{
	/* Use 32 bits of it: the verifier forbids arithmetic with pointers that it knows. */
	return ((((__u32)task >> 6) * 0x9e3779b1u >> 17) + probe) & (EV_NR_SLOTS - 1);
}

/* ---- layouts ---- */

#define EV_CHECK_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)
#define EV_CHECK_PLACE(type, field, at) _Static_assert(offsetof(struct type, field) == (at), #type "." #field)

EV_CHECK_SIZE(ev_file, 40);
EV_CHECK_SIZE(ev_vma, 96);
EV_CHECK_SIZE(ev_vma_at, 104);
EV_CHECK_SIZE(ev_task, 40);
EV_CHECK_SIZE(ev_waiter, 80);
EV_CHECK_PLACE(ev_waiter, comm, 64);
EV_CHECK_SIZE(ev_reader, 16);
EV_CHECK_SIZE(ev_process, 24);
EV_CHECK_SIZE(ev_watch_config, 56 + sizeof(struct ev_range) * EV_MAX_RANGES);
EV_CHECK_PLACE(ev_watch_config, ranges, 56);
EV_CHECK_SIZE(ev_ctxs, sizeof(__u64) * EV_MAX_CTXS);
EV_CHECK_SIZE(ev_stats, 320);
EV_CHECK_SIZE(ev_thread, 40);
EV_CHECK_SIZE(ev_team, 64);
EV_CHECK_SIZE(ev_resolver, 56 + sizeof(__u64) * EV_NR_WAITS * EV_NR_BUCKETS);
EV_CHECK_SIZE(ev_failure, 48);
EV_CHECK_SIZE(ev_fault, 176);
EV_CHECK_PLACE(ev_fault, comm, 96);
EV_CHECK_PLACE(ev_fault, op, 144);
EV_CHECK_SIZE(ev_slot, 256);
EV_CHECK_PLACE(ev_slot, word, 8);
EV_CHECK_PLACE(ev_slot, f, 80);
/* Programs copy names word by word, and limit the index of a kind or an end with a mask. */
_Static_assert(offsetof(struct ev_fault, comm) % 8 == 0 && offsetof(struct ev_fault, resolver_comm) % 8 == 0 &&
		       offsetof(struct ev_fault, reader_comm) % 8 == 0,
	       "comm");
_Static_assert(EV_NR_KINDS == 4 && EV_NR_ENDS == 4, "a kind and an end are two bits");
_Static_assert(EV_MM_BITS == 1 << (32 - 20), "a bit's number is the upper bits of a hash");
_Static_assert(EV_NO_ROOM == 1 << (64 - 54), "a place is the upper bits of a hash");
_Static_assert((EV_NR_STATS & (EV_NR_STATS - 1)) == 0, "a set is some bits of the CPU's number");
_Static_assert((EV_NR_SLOTS & (EV_NR_SLOTS - 1)) == 0, "a place is some bits of a hash");

#endif
