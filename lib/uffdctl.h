/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libuffdctl: inspect and drive the userfaultfds of other, running processes.
 *
 * Functions return 0 or a negative errno; results come back through the last
 * parameter, ret, which is written on success only. Every failure is explained
 * once through the log function (uffdctl_set_log), and can be had with
 * uffdctl_last_error(). Addresses and sizes are in bytes. An object may be used
 * by one thread at a time. See libuffdctl(3).
 *
 * A struct whose first member is size is made by the caller, who sets size to
 * its sizeof(), and all members that are not used to 0: so a program keeps
 * working when the struct gets more members. Where such a struct is named opts,
 * it may be NULL: all members are 0.
 */
#ifndef UFFDCTL_H
#define UFFDCTL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UFFDCTL_VERSION "0.1.0"

/* The version of the library that runs, as UFFDCTL_VERSION is that of the header. Since 0.1. */
const char *uffdctl_version(void);

/* A number that is not known: JSON null. */
#define UFFDCTL_UNKNOWN UINT64_MAX

/* Half-open: start belongs to it, end does not. */
struct uffdctl_range {
	uint64_t start;
	uint64_t end;
};

/* ---- context ---- */

struct uffdctl;

/* Severities, numbered as in syslog(3). */
enum uffdctl_log_level {
	UFFDCTL_LOG_ERROR = 3,
	UFFDCTL_LOG_WARNING = 4,
	UFFDCTL_LOG_NOTICE = 5,
	UFFDCTL_LOG_INFO = 6,  /* what is being done */
	UFFDCTL_LOG_DEBUG = 7, /* also what libbpf says, in its words */
};

/* msg has no newline; names that come from a target are escaped in it. */
typedef void (*uffdctl_log_fn)(void *data, int level, const char *msg);

/*
 * Make a context.
 * @ret: out, free with uffdctl_free()
 * -ENOMEM. Since 0.1.
 */
int uffdctl_new(struct uffdctl **ret);

/* Free a context and what it caches. NULL is allowed. Free all objects made from it first. */
void uffdctl_free(struct uffdctl *u);

/*
 * Set the function that gets messages. Without this they are dropped.
 * @level: messages with a higher number are dropped
 * @fn: may be NULL
 * @data: passed to fn
 */
void uffdctl_set_log(struct uffdctl *u, int level, uffdctl_log_fn fn, void *data);

/*
 * The text of the last error, as the log function gets it, also if there is none: of use after a call that failed.
 * "" if there was no error. Valid until the next call with the context or with an object made from it. Since 0.1.
 */
const char *uffdctl_last_error(const struct uffdctl *u);
/*
 * The negative errno that belongs to that text, also while the log function gets it; 0 if there was no error, or if it
 * has none. Since 0.1.
 */
int uffdctl_last_errno(const struct uffdctl *u);

/* ---- names ---- */

/* Registration modes, as in UFFDIO_REGISTER_MODE_*. */
enum uffdctl_mode {
	UFFDCTL_MODE_MISSING = 1 << 0,
	UFFDCTL_MODE_WP = 1 << 1,
	UFFDCTL_MODE_MINOR = 1 << 2,
	UFFDCTL_MODE_RWP = 1 << 3,
};

/* Arrays "by bit of the mode" have this length, more than there are modes: uffdctl_mode_name() knows which are used. */
#define UFFDCTL_MAX_MODES 8

/* The kernel's name, in lower case, of a bit of modes, features or ioctls; NULL if the bit has no name. */
const char *uffdctl_mode_name(unsigned int bit);
/* The mode of a mapping as smaps shows it: "um", "uw", "ui", "ur". */
const char *uffdctl_mode_flag(unsigned int bit);
const char *uffdctl_feature_name(unsigned int bit);
const char *uffdctl_ioctl_name(unsigned int bit);

/*
 * Parse a list of modes such as "minor,wp".
 * @ret: out, UFFDCTL_MODE_* bits
 * -EINVAL: empty, or an unknown name. Since 0.1.
 */
int uffdctl_modes_parse(const char *text, uint64_t *ret);

/*
 * Parse a size: bytes, or with K, M, G, T (powers of 1024), or 0x…
 * @ret: out, bytes
 * -EINVAL, -ERANGE. Since 0.1.
 */
int uffdctl_size_parse(const char *text, uint64_t *ret);

/*
 * Escape a name that comes from a target, so that it can be printed: control characters, invalid UTF-8 and characters
 * that change the direction of text become \xNN.
 * @name: any bytes up to a NUL
 * @ret: out, free with free()
 * -ENOMEM. Since 0.1.
 */
int uffdctl_escape(const char *name, char **ret);

/* ---- userfaultfds ---- */

/* Where the data comes from. */
enum uffdctl_source {
	UFFDCTL_SOURCE_AUTO, /* bpf if it is available, otherwise proc */
	UFFDCTL_SOURCE_BPF,  /* BPF iterators: Linux 6.1, CAP_BPF + CAP_PERFMON, kernel BTF */
	UFFDCTL_SOURCE_PROC, /* /proc/PID/fd, fdinfo, smaps: what proc(5) lets the user see */
};

enum uffdctl_find_flags {
	UFFDCTL_FIND_HANDLERS = 1 << 0, /* uffdctl_pending(): also the threads that can resolve, which reads /proc */
};

/* For uffdctl_list() and uffdctl_pending(). */
struct uffdctl_find_opts {
	size_t size;
	const pid_t *pids; /* only what concerns these processes, see there; NULL for all */
	size_t nr_pids;
	enum uffdctl_source source;
	unsigned int flags; /* UFFDCTL_FIND_* */
};

/* One descriptor of a userfaultfd. Descriptors of the same userfaultfd have the same ctx. */
struct uffdctl_uffd {
	uint32_t ctx; /* 1, 2, …; 0: not known */
	pid_t pid;    /* who holds it */
	int fd;
	char comm[16];			   /* raw bytes: escape before printing */
	uint64_t features;		   /* of its UFFDIO_API; UFFDCTL_UNKNOWN before that */
	uint64_t pending;		   /* waiters whose message no handler has read (queued), or UFFDCTL_UNKNOWN */
	uint64_t total;			   /* all waiters, or UFFDCTL_UNKNOWN */
	pid_t target_pid;		   /* process whose memory it governs; 0: not known, or gone */
	uint64_t bytes[UFFDCTL_MAX_MODES]; /* registered, by bit of the mode, or UFFDCTL_UNKNOWN */
	uint64_t has_reader; /* 1: a handler waits in read, poll or epoll; 0: none does; or UFFDCTL_UNKNOWN */
};

struct uffdctl_list;

/*
 * Find userfaultfds; with pids those that these processes hold, or that govern their memory.
 * @ret: out, free with uffdctl_list_free()
 * -EPERM, -ENOSYS: the source is not available (BPF only); -ESRCH: no such process; -ENOMEM.
 * Beneath: bpf iter/task_file, iter/task, iter/task_vma; or /proc/PID/fd, kcmp(2). Since 0.1.
 */
int uffdctl_list(struct uffdctl *u, const struct uffdctl_find_opts *opts, struct uffdctl_list **ret);
void uffdctl_list_free(struct uffdctl_list *l);
size_t uffdctl_list_count(const struct uffdctl_list *l);
const struct uffdctl_uffd *uffdctl_list_get(const struct uffdctl_list *l, size_t i);
/* The source that was used. */
enum uffdctl_source uffdctl_list_source(const struct uffdctl_list *l);
/*
 * Why BPF was not used though it was wanted, with the remedy, so that owners, readers and registered bytes are not
 * known; NULL: it was used, or not wanted. Since 0.1.
 */
const char *uffdctl_list_why(const struct uffdctl_list *l);
/* Number of processes whose descriptors could not be seen, for lack of privileges and of BPF. Since 0.1. */
size_t uffdctl_list_hidden(const struct uffdctl_list *l);

/* ---- targets and their mappings ---- */

struct uffdctl_target;

/*
 * Find the process with this name: that of its first thread (comm), or the last part of its first argument's or its
 * program's path. The caller is not found, nor are kernel threads and zombies. Any process can take any name.
 * @ret: out, its PID
 * -ESRCH: there is none; -ENOTUNIQ: there are several, which the message lists; -EINVAL: an empty name.
 * Beneath: /proc/PID/stat, exe and cmdline. Since 0.1.
 */
int uffdctl_find_process(struct uffdctl *u, const char *name, pid_t *ret);

/*
 * Open a process. A pidfd and descriptors of its /proc files identify it, so that calls never act on another process
 * with a recycled PID, or on a new program after execve(2).
 * @ret: out, close with uffdctl_target_close()
 * -ESRCH: no such process, a zombie, a kernel thread; -EINVAL: a thread's ID;
 * -EACCES, -EPERM: no ptrace access. Since 0.1.
 */
int uffdctl_target_open(struct uffdctl *u, pid_t pid, struct uffdctl_target **ret);
void uffdctl_target_close(struct uffdctl_target *t);
/* Does the process still exist, with the same program? 0, or -ESRCH, which is logged. */
int uffdctl_target_check(struct uffdctl_target *t);
pid_t uffdctl_target_pid(const struct uffdctl_target *t);
/* Its name when it was opened, escaped. Valid until uffdctl_target_close(). Since 0.1. */
const char *uffdctl_target_comm(const struct uffdctl_target *t);

/* The key of sizes[i] of a mapping, as in proc_pid_smaps(5): "Rss" and so on; NULL after the last one. */
const char *uffdctl_smaps_key(unsigned int i);

/* What a mapping's memory is. */
enum uffdctl_memory {
	UFFDCTL_MEMORY_UNKNOWN, /* not known without BPF */
	UFFDCTL_MEMORY_ANON,	/* private memory without a file */
	UFFDCTL_MEMORY_SHMEM,	/* tmpfs, memfd, shared memory without a file */
	UFFDCTL_MEMORY_HUGETLB,
	UFFDCTL_MEMORY_GUEST_MEMFD,
	UFFDCTL_MEMORY_OTHER, /* a file, a device, System V shared memory */
};

struct uffdctl_vma {
	struct uffdctl_range range;
	uint64_t offset; /* in the file, bytes */
	uint64_t inode;	 /* 0: no file */
	uint32_t dev_major, dev_minor;
	char perms[5];	       /* "rw-s" */
	const char *name;      /* as in /proc/PID/maps, raw; "": none; NULL: not known */
	const char *vm_flags;  /* mnemonics as in smaps, separated by spaces; NULL: not known */
	uint64_t modes;	       /* UFFDCTL_MODE_* for which it is registered */
	uint64_t page_size;    /* KernelPageSize */
	uint32_t ctx;	       /* its owner in the given list; 0: none or not known; UFFDCTL_CTX_UNHELD */
	const uint64_t *sizes; /* in bytes, by uffdctl_smaps_key(); NULL without UFFDCTL_MAPS_SIZES */
	enum uffdctl_memory memory;
	bool stacked; /* its file is one of a stacked file system such as overlayfs, its memory is not; needs BPF */
};

/*
 * What to call a mapping: its name, or "[anon:7f1640000000]" with its start if it has none; NULL: not known. Offsets of
 * addresses in a mapping without a file are counted from its start.
 * @buf: memory for the label, which is valid as long as buf and v
 * Since 0.1.
 */
#define UFFDCTL_LABEL_BYTES 32
const char *uffdctl_vma_label(const struct uffdctl_vma *v, char buf[UFFDCTL_LABEL_BYTES]);

/* Registered on a userfaultfd that no visible process holds. */
#define UFFDCTL_CTX_UNHELD UINT32_MAX

enum uffdctl_maps_flags {
	UFFDCTL_MAPS_ALL = 1 << 0,   /* also mappings without a userfaultfd */
	UFFDCTL_MAPS_SIZES = 1 << 1, /* with sizes: reads smaps, for which the kernel walks page tables */
};

struct uffdctl_maps_opts {
	size_t size;
	const struct uffdctl_list *list; /* gives the owners their numbers (ctx), or NULL; only BPF knows owners */
	enum uffdctl_source source;
	unsigned int flags; /* UFFDCTL_MAPS_* */
};

struct uffdctl_maps;

/*
 * Read the mappings of a target, ordered by address. [vsyscall], which belongs to the kernel, is left out.
 * @ret: out, free with uffdctl_maps_free()
 * -ESRCH: the process has ended, or has another program; -EPERM, -ENOSYS: no BPF; -ENOMEM.
 * Beneath: bpf iter/task_vma and PROCMAP_QUERY, or /proc/PID/smaps. Since 0.1.
 */
int uffdctl_maps(struct uffdctl_target *t, const struct uffdctl_maps_opts *opts, struct uffdctl_maps **ret);
void uffdctl_maps_free(struct uffdctl_maps *m);
size_t uffdctl_maps_count(const struct uffdctl_maps *m);
const struct uffdctl_vma *uffdctl_maps_get(const struct uffdctl_maps *m, size_t i);
enum uffdctl_source uffdctl_maps_source(const struct uffdctl_maps *m);

/* The contents of a page of a mapped file, whether or not the target has the page mapped. */
struct uffdctl_peek {
	size_t size;
	uint64_t cached;    /* 1: it is in the page cache; 0: it is not; UFFDCTL_UNKNOWN: for example on hugetlbfs */
	uint64_t page_size; /* of the mapping */
	uint64_t len;	    /* bytes that were read; 0 if the page is not cached or can't be read */
};

/*
 * Read the page behind an address without touching the target: what a waiter there would read if its minor fault were
 * continued. Changes nothing, and makes no page.
 * @addr: in a mapping of a file
 * @buf: out, the bytes from addr on, up to the end of its page
 * @len: of buf; may be 0
 * @ret: in: its size; out
 * -ENOENT: nothing is mapped there; -EOPNOTSUPP: the mapping has no file; -ESRCH; -EPERM, -EACCES: the file can't be
 * opened. Beneath: /proc/PID/map_files or the target's descriptor; mincore(2), pread(2). Since 0.1.
 */
int uffdctl_peek(struct uffdctl_target *t, uint64_t addr, void *buf, size_t len, struct uffdctl_peek *ret);

/* ---- threads that wait ---- */

/* Kinds of faults, in the order of the modes' bits, and of events. */
enum uffdctl_kind {
	UFFDCTL_KIND_UNKNOWN,
	UFFDCTL_KIND_MISSING,
	UFFDCTL_KIND_WP,
	UFFDCTL_KIND_MINOR,
	UFFDCTL_KIND_RWP,
	UFFDCTL_KIND_FORK, /* waits because no handler has read this event */
	UFFDCTL_KIND_REMAP,
	UFFDCTL_KIND_REMOVE,
	UFFDCTL_KIND_UNMAP,
};
/* "minor" and so on; NULL for UFFDCTL_KIND_UNKNOWN. */
const char *uffdctl_kind_name(enum uffdctl_kind kind);

enum uffdctl_access {
	UFFDCTL_ACCESS_UNKNOWN,
	UFFDCTL_ACCESS_READ,
	UFFDCTL_ACCESS_WRITE,
};
/* "read", "write"; NULL: not known. */
const char *uffdctl_access_name(enum uffdctl_access access);

enum uffdctl_wait_state {
	UFFDCTL_WAIT_UNKNOWN,
	UFFDCTL_WAIT_QUEUED,	/* no handler has read its message */
	UFFDCTL_WAIT_DELIVERED, /* read and not resolved */
};
/* "queued", "delivered"; NULL: not known. */
const char *uffdctl_wait_state_name(enum uffdctl_wait_state state);

/* A thread that waits. */
struct uffdctl_waiter {
	uint32_t ctx; /* number in uffdctl_pending_list(); 0: not known */
	pid_t pid, tid;
	char comm[16];	  /* name of the thread; raw bytes */
	pid_t target_pid; /* process whose memory it is; 0: not known */
	uint64_t addr;	  /* UFFDCTL_UNKNOWN; always so for fork */
	enum uffdctl_kind kind;
	enum uffdctl_access access;
	enum uffdctl_wait_state state;
	uint64_t slept_ns; /* since the thread last ran, to a scheduler tick; UFFDCTL_UNKNOWN */
	const char *name;  /* of the mapping, raw, as uffdctl_vma_label(); NULL: not known */
	uint64_t offset;   /* of addr in its file, or from the start of a mapping without one, or UFFDCTL_UNKNOWN */
	/* With UFFDCTL_FIND_HANDLERS: the thread that reads the messages; 0: not known, or several do. */
	pid_t handler_pid, handler_tid;
	char handler_comm[16]; /* name of that thread; raw bytes */
};

/* How it is known that a thread reads the messages of a userfaultfd. */
enum uffdctl_role {
	UFFDCTL_ROLE_UNKNOWN,
	UFFDCTL_ROLE_READER, /* it waits for messages now, in read, poll, select or epoll */
	UFFDCTL_ROLE_ONLY,   /* no other visible thread can */
};
/* "reader", "only"; NULL: not known. */
const char *uffdctl_role_name(enum uffdctl_role role);

/*
 * A thread that can resolve what waits on a userfaultfd: of a process that holds it, and not waiting on it itself. The
 * kernel does not record which thread has read a message.
 */
struct uffdctl_handler {
	uint32_t ctx; /* as in struct uffdctl_waiter */
	pid_t pid, tid;
	int fd;		  /* the userfaultfd in its process */
	char comm[16];	  /* name of the thread; raw bytes */
	char state[2];	  /* "R" runs, "S" sleeps, "D", "T" stopped, "t" stopped by its tracer: proc_pid_stat(5) */
	pid_t tracer_pid; /* 0: none */
	enum uffdctl_role role;
	const char *syscall; /* name of the system call that it is in; NULL: in none, or not known */
	uint64_t syscall_nr; /* its number; UFFDCTL_UNKNOWN: in none, or not known */
	int syscall_fd;	     /* the descriptor that the call works on; -1: none, or not known */
	const char *on;	     /* what that is: "pipe", "tcp 10.0.0.1:4444" with a socket's peer, a path; raw; or NULL */
	pid_t peer_pid;	     /* of a Unix socket: the process that connected, or that listened; 0: not known */
	const char *wchan;   /* the kernel function in which it sleeps; NULL: none, or not known */
};

struct uffdctl_pending;

/*
 * Find the threads that wait on a userfaultfd now, also those that began to wait before this call; the one that has
 * slept longest comes first. With pids, only threads of these processes and threads that wait for their memory.
 * @ret: out, free with uffdctl_pending_free()
 * Errors as uffdctl_list(). Beneath: the userfaultfd's wait queues, by bpf iter/task_file;
 * or /proc/PID/task/TID/stack and wchan. Since 0.1.
 */
int uffdctl_pending(struct uffdctl *u, const struct uffdctl_find_opts *opts, struct uffdctl_pending **ret);
void uffdctl_pending_free(struct uffdctl_pending *p);
size_t uffdctl_pending_count(const struct uffdctl_pending *p);
const struct uffdctl_waiter *uffdctl_pending_get(const struct uffdctl_pending *p, size_t i);
/*
 * Number of processes that could not be inspected, for lack of ptrace access and of BPF; 0 if pids were given. Since
 * 0.1.
 */
size_t uffdctl_pending_hidden(const struct uffdctl_pending *p);
/*
 * With UFFDCTL_FIND_HANDLERS: the threads that can resolve what these threads wait for, by userfaultfd, those with a
 * role first. Only BPF knows them. Since 0.1.
 */
size_t uffdctl_pending_handlers(const struct uffdctl_pending *p);
const struct uffdctl_handler *uffdctl_pending_handler(const struct uffdctl_pending *p, size_t i);
/* The userfaultfds at the same moment, with their holders. */
const struct uffdctl_list *uffdctl_pending_list(const struct uffdctl_pending *p);

/* What uffdctl_alarm_wait() waits for. */
enum uffdctl_alarm_event {
	UFFDCTL_ALARM_WAITS = 1, /* a thread begins to wait */
	UFFDCTL_ALARM_NONE,	 /* a thread goes on, and no other waits for the memory of its process */
	UFFDCTL_ALARM_GOES_ON,	 /* a thread goes on that may have waited */
};

struct uffdctl_alarm;

/*
 * Be told when uffdctl_pending() is worth calling: its answer may still be the same as before. Concerns the threads
 * that touch the memory of their own process; not those that touch another's, such as process_vm_readv(2), and
 * kernel threads.
 * @opts: pids as for uffdctl_pending(): NULL for all processes; source and flags must be 0
 * @ret: out, close with uffdctl_alarm_close()
 * -EPERM, -ENOSYS, …: BPF is not available, not logged. Beneath: the tracepoint sched_switch. Since 0.1.
 */
int uffdctl_alarm_open(struct uffdctl *u, const struct uffdctl_find_opts *opts, struct uffdctl_alarm **ret);
/*
 * Arm it for the next uffdctl_alarm_wait(); call this before uffdctl_pending(), so that nothing that comes after that is
 * missed. New userfaultfds are looked for once a second, here and while it sleeps. A negative errno; logged. Since 0.1.
 */
int uffdctl_alarm_arm(struct uffdctl_alarm *a, enum uffdctl_alarm_event event);
/*
 * Sleep until it comes true or the time is over.
 * @ns: time
 * 1: it came true; 0: the time is over; -EINTR: a signal. Since 0.1.
 */
int uffdctl_alarm_wait(struct uffdctl_alarm *a, uint64_t ns);
void uffdctl_alarm_close(struct uffdctl_alarm *a);

/* ---- watching faults ---- */

/* How a fault ended. */
enum uffdctl_end {
	UFFDCTL_END_WOKEN,	/* by an ioctl on the userfaultfd, see op */
	UFFDCTL_END_SIGNAL,	/* by a signal to the thread */
	UFFDCTL_END_RELEASED,	/* by the last close of the userfaultfd */
	UFFDCTL_END_NOT_WAITED, /* its page was there before the thread slept */
};
/* "woken" and so on; NULL after the last one. */
const char *uffdctl_end_name(enum uffdctl_end end);
/* An array by enum uffdctl_end has this length, more than there are. */
#define UFFDCTL_MAX_ENDS 8

/* A fault that has ended. */
struct uffdctl_fault {
	uint64_t start_ns;  /* CLOCK_MONOTONIC */
	uint64_t wait_ns;   /* until the thread was woken; UFFDCTL_UNKNOWN */
	uint64_t queue_ns;  /* the part of wait_ns until its message was read; UFFDCTL_UNKNOWN if it was not read */
	uint64_t addr;	    /* as in the message */
	uint64_t ip;	    /* user-mode instruction; in a system call, the one after it; UFFDCTL_UNKNOWN */
	pid_t pid, tid;	    /* who waited */
	pid_t target_pid;   /* process whose memory it is; 0: not known */
	pid_t resolver_pid; /* 0: nobody */
	char comm[16], resolver_comm[16];
	enum uffdctl_kind kind;
	enum uffdctl_access access;
	enum uffdctl_end end;
	const char *op;	    /* name of the ioctl that ended it, or NULL */
	const char *name;   /* of the mapping, raw, as uffdctl_vma_label(); NULL: not known */
	uint64_t offset;    /* of addr in its file, or from the start of a mapping without one; or UFFDCTL_UNKNOWN */
	pid_t resolver_tid; /* the thread with the name resolver_comm */
	pid_t reader_pid, reader_tid; /* the thread that read the message; 0: nobody, or not known */
	char reader_comm[16];
};

/* ---- waiting times ---- */

/* Number of buckets into which waiting times are counted: 16 for each doubling, so that a bound is 6 % off at most. */
#define UFFDCTL_NR_BUCKETS 402

/* The longest wait that is counted in bucket i; UFFDCTL_UNKNOWN for the last one. */
uint64_t uffdctl_bucket_bound_ns(unsigned int i);
/* The bucket of a wait. */
unsigned int uffdctl_bucket(uint64_t wait_ns);
/*
 * A percentile of the waits that were counted into buckets: the upper bound of the bucket in which it is, at most
 * max_ns.
 * @buckets: UFFDCTL_NR_BUCKETS numbers, such as the difference between two struct uffdctl_watch_stats
 * @max_ns: the longest wait; UFFDCTL_UNKNOWN if it is not known
 * @percent: 0 to 100
 * Returns UFFDCTL_UNKNOWN if there are no waits, or if it is not known. Since 0.1.
 */
uint64_t uffdctl_percentile_ns(const uint64_t *buckets, uint64_t max_ns, double percent);

/* Totals since watching began; exact even if the stream lost faults. */
struct uffdctl_watch_stats {
	size_t size;
	uint64_t faults[UFFDCTL_MAX_MODES]; /* by bit of the mode */
	uint64_t ended[UFFDCTL_MAX_ENDS];   /* by enum uffdctl_end */
	uint64_t pending;		    /* faults that have not ended */
	uint64_t before;		    /* threads that waited when watching began: not counted elsewhere */
	uint64_t before_left;		    /* those of them that still wait */
	uint64_t blocked;		    /* faults that slept */
	uint64_t delivered;		    /* faults whose message a handler has read */
	uint64_t lost_events;		    /* faults that are in the totals, but were not passed to fn */
	uint64_t missed;		    /* faults that could not be followed for lack of room */
	uint64_t max_wait_ns;
	uint64_t unknown_waits; /* faults that have ended, but whose waiting time is not known: in no bucket */
	uint64_t buckets[UFFDCTL_NR_BUCKETS];
	/* The parts of the waits of faults whose message was read: until then, and after that. */
	uint64_t max_queued_ns, max_handled_ns;
	uint64_t queued[UFFDCTL_NR_BUCKETS];
	uint64_t handled[UFFDCTL_NR_BUCKETS];
	/*
	 * How often the kernel did not run a program of backend kprobe (since Linux 6.7; 0 before): some faults may not
	 * be counted, or be counted as ended by a signal although they were woken.
	 */
	uint64_t skipped;
	uint64_t ended_by_kind[UFFDCTL_MAX_MODES][UFFDCTL_MAX_ENDS]; /* by bit of the mode */
	/*
	 * Ioctls on userfaultfds that govern watched memory, and that failed; UFFDCTL_UNKNOWN: the backend does not
	 * see them.
	 */
	uint64_t failed_ioctls;
	uint64_t sum_wait_ns; /* of all waits that are known */
};

/* Ioctls of a thread that failed with the same error. */
struct uffdctl_failure_totals {
	pid_t pid, tid;	 /* 0: not in our PID namespace */
	char comm[16];	 /* raw bytes */
	unsigned int op; /* for uffdctl_ioctl_name() */
	int error;	 /* errno; 0: of all that found no room */
	uint64_t count;
};

/* Totals of a thread that has waited. */
struct uffdctl_thread_totals {
	pid_t pid, tid; /* 0: of all that found no room */
	char comm[16];	/* raw bytes */
	uint64_t faults;
	uint64_t wait_ns; /* of all of them together, as far as their waits are known */
};

/*
 * Totals of a team: the threads of a process whose names differ only in their digits, such as the vCPUs of a VM, and
 * that have had a fault.
 */
struct uffdctl_team_totals {
	pid_t pid;     /* 0: of all that found no room, and of threads that touched the memory of another process */
	char name[16]; /* raw bytes, with # for digits */
	uint64_t threads;
	uint64_t faults;
	uint64_t wait_ns;
	uint64_t all_wait_ns; /* how long all of the threads waited at once */
};

/* Totals of a resolver: a thread whose ioctls ended faults. */
struct uffdctl_resolver_totals {
	pid_t pid, tid; /* 0: of all that found no room */
	char comm[16];	/* raw bytes */
	uint64_t faults;
	uint64_t max_wait_ns, max_queued_ns, max_handled_ns;
	uint64_t waits[UFFDCTL_NR_BUCKETS];
	uint64_t queued[UFFDCTL_NR_BUCKETS];
	uint64_t handled[UFFDCTL_NR_BUCKETS];
};

struct uffdctl_watch;

enum uffdctl_watch_flags {
	UFFDCTL_WATCH_STREAM = 1 << 0,	 /* pass each fault to fn; without this, only totals are kept */
	UFFDCTL_WATCH_CHILDREN = 1 << 1, /* also the descendants of pids, those that exist and those to come */
};

struct uffdctl_watch_opts {
	size_t size;
	const char *backend; /* a name as uffdctl_watch_backend() returns it, or NULL for the best available one */
	const pid_t *pids;   /* processes whose memory is watched; NULL for all */
	size_t nr_pids;
	/* Watch only these ranges of one process, looked up when watching begins; NULL: all addresses. */
	const struct uffdctl_ranges *ranges;
	uint64_t modes;		    /* only faults of these modes, UFFDCTL_MODE_*; 0: all */
	enum uffdctl_access access; /* only this one; UFFDCTL_ACCESS_UNKNOWN: both */
	unsigned int flags;	    /* UFFDCTL_WATCH_* */
};

/*
 * Begin to watch faults. Only what opts selects is counted.
 * @ret: out, end with uffdctl_watch_close()
 * -EPERM, -ENOSYS, …: the backend is not available; the reason is logged; -EINVAL: no such backend; -ESRCH: no such
 * process; for ranges the errors of uffdctl_register().
 * Beneath: BPF programs on the tracepoints userfaultfd:*, on handle_userfault() by fentry or kprobe,
 * or on the tracepoints sched_switch, sched_waking and sys_exit. Since 0.1.
 */
int uffdctl_watch_open(struct uffdctl *u, const struct uffdctl_watch_opts *opts, struct uffdctl_watch **ret);
void uffdctl_watch_close(struct uffdctl_watch *w);
const char *uffdctl_watch_backend(const struct uffdctl_watch *w);

/* The time from which on faults are counted (CLOCK_MONOTONIC); it is before uffdctl_watch_open() returns. Since 0.1. */
uint64_t uffdctl_watch_began_ns(const struct uffdctl_watch *w);

typedef void (*uffdctl_fault_fn)(void *data, const struct uffdctl_fault *fault);

/*
 * Pass the faults that have ended to fn; wait up to timeout_ms for the first one. Call this at least once a second:
 * it also finds new userfaultfds.
 * @fn: may be NULL without UFFDCTL_WATCH_STREAM
 * Returns the number of faults, or a negative errno; -EINTR after a signal.
 */
int uffdctl_watch_poll(struct uffdctl_watch *w, int timeout_ms, uffdctl_fault_fn fn, void *data);

/*
 * Get the totals.
 * @ret: in: its size; out
 */
int uffdctl_watch_stats(struct uffdctl_watch *w, struct uffdctl_watch_stats *ret);

/*
 * Totals by thread, by team and by resolver, and of ioctls that failed, since watching began, exact even if the stream
 * lost faults; threads that have exited are among them.
 * @at: 0 at first; the function changes it
 * Return the next item, valid until the next call of the same function; NULL after the last one. Since 0.1.
 */
const struct uffdctl_thread_totals *uffdctl_watch_thread(struct uffdctl_watch *w, size_t *at);
const struct uffdctl_team_totals *uffdctl_watch_team(struct uffdctl_watch *w, size_t *at);
const struct uffdctl_resolver_totals *uffdctl_watch_resolver(struct uffdctl_watch *w, size_t *at);
const struct uffdctl_failure_totals *uffdctl_watch_failure(struct uffdctl_watch *w, size_t *at);

/*
 * Have all given processes ended (with UFFDCTL_WATCH_CHILDREN, their descendants too), so that nothing is counted any
 * more? Always false if all processes are watched. Since 0.1.
 */
bool uffdctl_watch_ended(const struct uffdctl_watch *w);

/*
 * Is there a userfaultfd that governs memory that is watched? Without one there are no faults: it may be still to come,
 * or have been closed for the last time.
 * 1: yes; 0: no; a negative errno: that can't be found out, not logged. It looks at most once a second, and otherwise
 * returns what it returned last. Beneath: bpf iter/task_file. Since 0.1.
 */
int uffdctl_watch_governed(struct uffdctl_watch *w);

/* ---- recordings ---- */

/* Writes faults to a file. */
struct uffdctl_recorder;

struct uffdctl_recorder_opts {
	size_t size;
	struct uffdctl_watch *watch; /* whose faults they are; its totals are recorded too. NULL: none */
	const char *selection;	     /* what is watched, in words; NULL: not known */
	/* When a file has so many bytes, it gets the name PATH.1 and a new one begins; 0: never. At least 64 KiB. */
	uint64_t max_bytes;
};

/* So many older files are kept, PATH.1 (the newest of them) to PATH.8. */
#define UFFDCTL_RECORDER_KEPT 8

/*
 * Make a file with mode 0600 and record into it.
 * @path: must not exist, nor the older files if max_bytes is given; it is not followed if it is a symbolic link
 * @ret: out, free with uffdctl_recorder_free()
 * -EEXIST; -EINVAL: max_bytes is too small; what open(2) returns. Since 0.1.
 */
int uffdctl_recorder_new(struct uffdctl *u, const char *path, const struct uffdctl_recorder_opts *opts,
			 struct uffdctl_recorder **ret);
/*
 * Record a fault.
 * @symbol: text of its instruction; may be NULL
 * -EIO, -ENOSPC, …: the file can't be written; what was written before stays readable. All later calls return the same
 * error, which is logged once. Since 0.1.
 */
int uffdctl_recorder_fault(struct uffdctl_recorder *r, const struct uffdctl_fault *fault, const char *symbol);
/*
 * Write what was not written yet, with the totals of now, if the last time was half a second ago or longer. Call this
 * at least once a second. Errors as uffdctl_recorder_fault(). Since 0.1.
 */
int uffdctl_recorder_flush(struct uffdctl_recorder *r);
/*
 * Write the rest and all totals: the recording is complete.
 * @stats: the last totals, and @passed_ns: how long watching had lasted; NULL: those of now
 * Errors as uffdctl_recorder_fault(). Since 0.1.
 */
int uffdctl_recorder_end(struct uffdctl_recorder *r, const struct uffdctl_watch_stats *stats, uint64_t passed_ns);
/* Close the file and free. NULL is allowed. Since 0.1. */
void uffdctl_recorder_free(struct uffdctl_recorder *r);

/* Reads such a file. */
struct uffdctl_record;

/* How a file ends. */
enum uffdctl_record_end {
	UFFDCTL_RECORD_CUT,	  /* without totals, as after a kill or on a full disk */
	UFFDCTL_RECORD_COMPLETE,  /* the recording ends */
	UFFDCTL_RECORD_CONTINUES, /* it goes on in the next file */
};

struct uffdctl_record_info {
	size_t size;
	const char *program;   /* version of uffdctl */
	const char *kernel;    /* its release */
	const char *backend;   /* "" if not known */
	const char *selection; /* likewise; raw */
	uint64_t began_ns;     /* when watching began: CLOCK_MONOTONIC */
	uint64_t wall_ns;      /* the same in ns since 1970, UTC */
	uint64_t recording;    /* the same in all files of a recording */
	uint64_t part;	       /* which file of the recording this is, from 0 on */
};

/*
 * Open a recording. Nothing in it is trusted.
 * @ret: out, close with uffdctl_record_close()
 * -EBADMSG: not a recording, or corrupted; -EPROTONOSUPPORT: a newer version; what open(2) returns. Since 0.1.
 */
int uffdctl_record_open(struct uffdctl *u, const char *path, struct uffdctl_record **ret);
void uffdctl_record_close(struct uffdctl_record *r);
/*
 * About the file: strings are valid until uffdctl_record_close().
 * @ret: in: its size; out. Since 0.1.
 */
int uffdctl_record_info(struct uffdctl_record *r, struct uffdctl_record_info *ret);
/*
 * Get the next fault.
 * @ret: out; @symbol: out: text of its instruction, raw, or NULL; both valid until the next call
 * 1: there is one; 0: there are no more; -EBADMSG: corrupted from here on; -EPROTONOSUPPORT: an unknown item; -ENOMEM.
 * An incomplete block at the end of the file is dropped and logged at notice level. Since 0.1.
 */
int uffdctl_record_next(struct uffdctl_record *r, const struct uffdctl_fault **ret, const char **symbol);
/* How the file ends. This and the totals are known when uffdctl_record_next() has returned 0. Since 0.1. */
enum uffdctl_record_end uffdctl_record_ended(const struct uffdctl_record *r);
/*
 * The last totals in the file.
 * @ret: in: its size; out; @passed_ns: out: how long watching had lasted
 * -ENODATA: there are none, not logged. Since 0.1.
 */
int uffdctl_record_stats(struct uffdctl_record *r, struct uffdctl_watch_stats *ret, uint64_t *passed_ns);
/* As uffdctl_watch_thread() and so on; only a complete recording has them. Since 0.1. */
const struct uffdctl_thread_totals *uffdctl_record_thread(struct uffdctl_record *r, size_t *at);
const struct uffdctl_team_totals *uffdctl_record_team(struct uffdctl_record *r, size_t *at);
const struct uffdctl_resolver_totals *uffdctl_record_resolver(struct uffdctl_record *r, size_t *at);
const struct uffdctl_failure_totals *uffdctl_record_failure(struct uffdctl_record *r, size_t *at);

/* ---- instructions ---- */

/* A cache of the text for instructions. A thread of its own looks them up, in a child process. */
struct uffdctl_symbols;

enum uffdctl_symbols_flags {
	UFFDCTL_SYMBOLS_LINES = 1 << 0, /* also source lines, from debug information */
};

/*
 * Make an empty cache. It uses less than half of the descriptors that RLIMIT_NOFILE allows.
 * @flags: UFFDCTL_SYMBOLS_*
 * @ret: out, free with uffdctl_symbols_free()
 * -EINVAL: flags; -ENOMEM. Since 0.1.
 */
int uffdctl_symbols_new(struct uffdctl *u, unsigned int flags, struct uffdctl_symbols **ret);

/* Free the cache and end its thread, waiting up to a second for it. */
void uffdctl_symbols_free(struct uffdctl_symbols *s);

/*
 * The text of an instruction: "function+0x1f (libfoo.so.1)", " file.c:123" after it with UFFDCTL_SYMBOLS_LINES.
 * "0x1234 (libfoo.so.1)", as addr2line(1) takes it, where no function is known. Names are raw bytes and not
 * demangled; a function's name is cut off at 512 bytes. What was looked up stays known after the process has ended,
 * until its PID belongs to another program or process.
 * @ip: an address of user mode
 * @timeout_ms: how long to wait if the address was not looked up before; 0: do not wait; negative: no limit
 * @ret: out, valid until the next call with s
 * -EAGAIN: being looked up: call again; -ENOENT: nothing is known about ip, or it is in no executable mapping;
 * -ESRCH: the process ended before; -EPERM, -EACCES: no ptrace access;
 * -EMFILE, -ENOMEM. Errors are logged at info level only.
 * Beneath: /proc/PID/maps, map_files or root, pagemap, mem for the vdso; root/tmp/perf-PID.map of its own namespaces;
 * debug files beside the file and under /usr/lib/debug, none from a network. A child process opens and reads them: if
 * a file system does not answer for 5 seconds, it is not accessed again. Since 0.1.
 */
int uffdctl_symbols_get(struct uffdctl_symbols *s, pid_t pid, uint64_t ip, int timeout_ms, const char **ret);

/* ---- ranges ---- */

struct uffdctl_ranges;

int uffdctl_ranges_new(struct uffdctl *u, struct uffdctl_ranges **ret);
void uffdctl_ranges_free(struct uffdctl_ranges *r);

/*
 * Add a range as a user wrote it: START-END, START+LEN, ADDRESS, @GLOB, N@GLOB, :SYMBOL, FILE:SYMBOL or all
 * (uffdctl(1), RANGES). ADDRESS is the page of the mapping there, found when the range is used.
 * -EINVAL: none of these, reversed, empty, overflowing or not aligned to pages. Since 0.1.
 */
int uffdctl_ranges_add(struct uffdctl_ranges *r, const char *text);
size_t uffdctl_ranges_count(const struct uffdctl_ranges *r);

/* ---- pages ---- */

/* What the page at an address is. */
enum uffdctl_page_state {
	UFFDCTL_PAGE_UNKNOWN,
	UFFDCTL_PAGE_MAPPED,  /* in the page table */
	UFFDCTL_PAGE_MINOR,   /* in the page cache and not in the page table: an access is a minor fault */
	UFFDCTL_PAGE_ABSENT,  /* in neither: an access is a missing fault */
	UFFDCTL_PAGE_SWAPPED, /* swapped out; in a shared mapping, an access is a minor fault */
};
/* "mapped" and so on, also "unknown"; NULL after the last one. */
const char *uffdctl_page_state_name(enum uffdctl_page_state state);

/* What its entry in the page table says besides. There may be marks without a page. */
enum uffdctl_page_marks {
	UFFDCTL_MARK_WP = 1 << 0,	/* write-protected by a userfaultfd */
	UFFDCTL_MARK_RWP = 1 << 1,	/* read-write-protected by a userfaultfd */
	UFFDCTL_MARK_POISONED = 1 << 2, /* by UFFDIO_POISON or a memory error: an access fails with SIGBUS */
	UFFDCTL_MARK_UNKNOWN = 1 << 7,	/* it is not known whether it has wp or rwp */
};
/* "wp", "rwp", "poisoned"; NULL if the bit has no name. */
const char *uffdctl_page_mark_name(unsigned int bit);

/* Pages that are alike. */
struct uffdctl_page_run {
	struct uffdctl_range range;
	enum uffdctl_page_state state;
	unsigned int marks; /* UFFDCTL_MARK_* */
	bool is_last;	    /* of this part */
	/* The part of the ranges that lies in one mapping, and that mapping, valid during the call. */
	struct uffdctl_range part;
	const struct uffdctl_vma *vma;
};

/* Called for all pages of a part, by address, before those of the next one. A negative errno ends it, and is returned. */
typedef int (*uffdctl_page_run_fn)(void *data, const struct uffdctl_page_run *run);

enum uffdctl_pages_flags {
	UFFDCTL_PAGES_ALL = 1 << 0, /* without ranges: also mappings that are not registered on a userfaultfd */
};

struct uffdctl_pages_opts {
	size_t size;
	const struct uffdctl_ranges *ranges; /* NULL: each mapping that is registered on a userfaultfd */
	enum uffdctl_source source;	     /* of the mappings */
	unsigned int flags;		     /* UFFDCTL_PAGES_* */
	uffdctl_page_run_fn run;
	void *data;
};

/*
 * Find out what the pages of a target are. No page is touched, made, or read in from swap. The process goes on
 * meanwhile: each answer was right at a moment during the call.
 * -ESRCH: the process has ended, or has another program; for ranges the errors of uffdctl_register(); what run returns.
 * It is no error if the state of pages is not known; why it is not is logged as a notice, or, if neither a range was
 * given nor the mapping is registered, as information.
 * Beneath: for the mappings as uffdctl_maps(), or PROCMAP_QUERY; PAGEMAP_SCAN, /proc/PID/pagemap; on the file of a mapping of tmpfs, hugetlbfs or guest_memfd, opened as in
 * uffdctl_peek(): cachestat(2), mincore(2), SEEK_DATA, and, for hugetlbfs, UFFDIO_CONTINUE on a mapping in the caller.
 * Since 0.1.
 */
int uffdctl_pages(struct uffdctl_target *t, const struct uffdctl_pages_opts *opts);

/* A piece of what pages hold. */
struct uffdctl_piece {
	struct uffdctl_range range; /* whole pages of one state */
	/* range.end - range.start bytes, valid during the call; NULL: there is nothing, or it was not read, see state and error */
	const void *bytes;
	enum uffdctl_page_state state;
	unsigned int marks;	       /* UFFDCTL_MARK_* */
	int error;		       /* a page that is there was not read: a negative errno; otherwise 0 */
	const struct uffdctl_vma *vma; /* valid during the call */
};

/* Called for all pages of the ranges, in their order. A negative errno ends it, and is returned. */
typedef int (*uffdctl_piece_fn)(void *data, const struct uffdctl_piece *piece);

struct uffdctl_peek_opts {
	size_t size;
	const struct uffdctl_ranges *ranges;
	enum uffdctl_source source; /* of the mappings */
	unsigned int flags;	    /* 0 */
	uffdctl_piece_fn piece;
	void *data;
};

/*
 * Read what the page cache holds behind ranges, whether or not the target has the pages mapped, and its pages of
 * anonymous memory. Only pages that are there are read: none is made, none is read in from swap, no thread of the target
 * is needed.
 * Errors as uffdctl_pages(). It is no error if a page can't be read: see the pieces.
 * Beneath: uffdctl_pages(); pread(2) on the file of the mapping, opened as in uffdctl_peek(); for guest_memfd a guarded
 * mapping in the caller; for anonymous memory /proc/PID/mem. Since 0.1.
 */
int uffdctl_peek_ranges(struct uffdctl_target *t, const struct uffdctl_peek_opts *opts);

/* ---- what can be had here ---- */

/* What can say no, as bits. */
enum uffdctl_layer {
	UFFDCTL_LAYER_FILE = 1 << 0,	   /* mode or ACL of a file or device */
	UFFDCTL_LAYER_SETUP = 1 << 1,	   /* a device or file system that is not there, or mounted with nodev */
	UFFDCTL_LAYER_SYSCTL = 1 << 2,	   /* vm.unprivileged_userfaultfd */
	UFFDCTL_LAYER_CAPABILITY = 1 << 3, /* a capability that we lack */
	UFFDCTL_LAYER_USER_NS = 1 << 4,	   /* we have it, but only in our user namespace */
	UFFDCTL_LAYER_YAMA = 1 << 5,	   /* kernel.yama.ptrace_scope */
	UFFDCTL_LAYER_SECCOMP = 1 << 6,	   /* a filter of our own */
	UFFDCTL_LAYER_LSM = 1 << 7,	   /* SELinux, AppArmor and so on */
	UFFDCTL_LAYER_LOCKDOWN = 1 << 8,
	UFFDCTL_LAYER_CGROUP = 1 << 9,	  /* devices that a container may not open */
	UFFDCTL_LAYER_KERNEL = 1 << 10,	  /* the kernel does not have it */
	UFFDCTL_LAYER_RESOURCE = 1 << 11, /* memory, huge pages, descriptors */
	UFFDCTL_LAYER_TARGET = 1 << 12,	  /* the process itself: it is not dumpable, or has nothing of the kind */
	UFFDCTL_LAYER_BUILD = 1 << 13,	  /* built without it */
};
/* "file", "seccomp" and so on; NULL if the bit has no name. Since 0.1. */
const char *uffdctl_layer_name(unsigned int bit);

/* One thing that was tried. */
struct uffdctl_check {
	const char *group;  /* "userfaultfd", "memory", … */
	const char *name;   /* unique: "userfaultfd-device" */
	uint64_t ok;	    /* 1: it works; 0: it does not; UFFDCTL_UNKNOWN: that could not be found out */
	uint64_t layers;    /* what said no, UFFDCTL_LAYER_*; several: one of these, and it is not known which */
	const char *detail; /* may quote names of the target: escape before printing */
	const char *remedy; /* commands to type, the one that gives least privilege first; NULL: none is known */
};

/* What a bug report begins with. */
struct uffdctl_fact {
	const char *name; /* "kernel" */
	const char *value;
};

/* For which modes a mapping can be registered. */
struct uffdctl_prospect {
	struct uffdctl_range range;
	char perms[5];
	enum uffdctl_memory memory;
	uint64_t modes;	  /* it is registered for these now */
	uint64_t can;	  /* it can be registered for these, UFFDCTL_MODE_* */
	uint64_t unknown; /* for these it is not known */
	const char *why;  /* why not for others, or why that is not known; NULL: there is nothing to say */
	const char *name; /* as in struct uffdctl_vma */
};

struct uffdctl_doctor_opts {
	size_t size;
	const char *command; /* a name as uffdctl_doctor_command() returns it: only what it needs; NULL: everything */
	pid_t pid;	     /* with command: the process that it is to work on; 0: none */
	unsigned int flags;  /* none yet: 0 */
};

struct uffdctl_doctor;

/*
 * Find out what this kernel and this user can do, by doing it on memory and child processes of our own; the backends of
 * watching are attached and detached again. Nothing is done to the process given.
 * @ret: out, free with uffdctl_doctor_free()
 * -EINVAL: no such command; a pid without a command; -ENOMEM. Whatever does not work is a result, and not logged.
 * Beneath: all that the other functions use, and fork(2). Since 0.1.
 */
int uffdctl_doctor(struct uffdctl *u, const struct uffdctl_doctor_opts *opts, struct uffdctl_doctor **ret);
void uffdctl_doctor_free(struct uffdctl_doctor *d);
/* With a command: does it work? 1, 0, or UFFDCTL_UNKNOWN. Without: 1. Since 0.1. */
uint64_t uffdctl_doctor_verdict(const struct uffdctl_doctor *d);
/* The names of commands that it knows; NULL after the last one. Since 0.1. */
const char *uffdctl_doctor_command(unsigned int i);
/* Results, which are valid until uffdctl_doctor_free(); NULL after the last one. Since 0.1. */
const struct uffdctl_check *uffdctl_doctor_check(const struct uffdctl_doctor *d, size_t i);
const struct uffdctl_fact *uffdctl_doctor_fact(const struct uffdctl_doctor *d, size_t i);
/* The mappings of the process given, if the command registers them. */
const struct uffdctl_prospect *uffdctl_doctor_prospect(const struct uffdctl_doctor *d, size_t i);

/* ---- acting on a target ---- */

/* A duplicate of a userfaultfd's descriptor, taken with pidfd_getfd(2). */
struct uffdctl_handle;

enum uffdctl_handle_flags {
	UFFDCTL_HANDLE_FD =
		1 << 0, /* take the descriptor fd; without this, the one that owns the ranges, or the only one */
	UFFDCTL_HANDLE_HANDSHAKE = 1 << 1,     /* issue UFFDIO_API if the target has not; its own call will then fail */
	UFFDCTL_HANDLE_HANDSHAKE_DRY = 1 << 2, /* for a dry run: accept a userfaultfd without UFFDIO_API */
	UFFDCTL_HANDLE_INJECT = 1 << 3,	       /* if there is none, make one inside the process, which keeps it */
	UFFDCTL_HANDLE_INJECT_DRY = 1 << 4,    /* for a dry run: find out whether that can be done */
	UFFDCTL_HANDLE_INJECT_OWN = 1 << 5,    /* with _INJECT: the process does not keep it: it ends with the handle */
};

struct uffdctl_handle_opts {
	size_t size;
	const struct uffdctl_ranges *ranges; /* that it will be used on, or NULL */
	uint64_t flags;			     /* UFFDCTL_HANDLE_* */
	pid_t pid;			     /* with UFFDCTL_HANDLE_FD: who holds fd; 0: the target */
	int fd;
};

/*
 * Take a userfaultfd that governs the target's memory.
 * @ret: out, close with uffdctl_handle_close()
 * -EBADF: no such descriptor, or no userfaultfd; -ENOENT: there is none; -ENOTUNIQ: there are several; -EPROTO: no
 * UFFDIO_API yet; -EXDEV: it governs another process's memory; -EPERM; with UFFDCTL_HANDLE_INJECT also those of
 * uffdctl_zap().
 * Beneath: pidfd_getfd(2); with UFFDCTL_HANDLE_INJECT ptrace(2) and, in the process, userfaultfd(2) or /dev/userfaultfd.
 * Since 0.1.
 */
int uffdctl_handle_open(struct uffdctl_target *t, const struct uffdctl_handle_opts *opts, struct uffdctl_handle **ret);
void uffdctl_handle_close(struct uffdctl_handle *h);
/*
 * Actions that change memory lock it against other processes that use this library. If it is locked, an action waits
 * up to wait_ns (0 unless this is called), and then fails with -EBUSY.
 * @stop: called some 50 times a second while waiting; non-zero ends the wait with -EINTR; may be NULL
 * Beneath: F_SETLK on the userfaultfds of the memory. Therefore threads of one process do not exclude each other, and
 * closing a handle releases the locks of another handle in the same process. Since 0.1.
 */
void uffdctl_handle_wait_lock(struct uffdctl_handle *h, uint64_t wait_ns, int (*stop)(void *data), void *data);
/* The holder of the descriptor, which is the caller with UFFDCTL_HANDLE_INJECT_OWN, and its number there; -1: with UFFDCTL_HANDLE_INJECT_DRY there is none. */
pid_t uffdctl_handle_pid(const struct uffdctl_handle *h);
int uffdctl_handle_fd(const struct uffdctl_handle *h);

/* The result for one part of a range: one mapping, or the part of it that the range covers. */
struct uffdctl_result {
	struct uffdctl_range range;
	uint64_t modes;		/* register: all modes it has now; unregister: those it had */
	uint64_t ioctls;	/* register: 1 << _UFFDIO_*; UFFDCTL_UNKNOWN in a dry run */
	uint64_t mapped;	/* resolve: bytes for which this call made page-table entries */
	uint64_t already;	/* bytes that had one (EEXIST) */
	uint64_t absent;	/* continue: no page in the page cache (EFAULT); all: past the end of the file */
	int error;		/* 0 or a negative errno */
	const char *error_text; /* NULL with error 0 */
	uint64_t filled;	/* the part of mapped that was written first */
	uint64_t elsewhere;	/* left alone, because they are mapped elsewhere (enum uffdctl_elsewhere) */
};

/* Called once for each part, in the order of the ranges, from the calling thread. */
typedef void (*uffdctl_result_fn)(void *data, const struct uffdctl_result *result);

enum uffdctl_action_flags {
	UFFDCTL_ACTION_DRY_RUN = 1 << 0,   /* check everything, change nothing */
	UFFDCTL_ACTION_NO_WAKE = 1 << 1,   /* do not wake waiters: what resolves, and what removes marks */
	UFFDCTL_ACTION_WP = 1 << 2,	   /* continue: with UFFDIO_CONTINUE_MODE_WP everywhere */
	UFFDCTL_ACTION_FORCE = 1 << 3,	   /* continue: fill although a handler reads the messages; copy, zeropage:
					    although the target's cgroup lacks room */
	UFFDCTL_ACTION_BY_OFFSET = 1 << 4, /* continue, copy: take contents at the offset of each page in the mapped
					      file */
	UFFDCTL_ACTION_OFF = 1 << 5,	   /* writeprotect, rwprotect: remove the marks */
	UFFDCTL_ACTION_HANDLED = 1 << 6,   /* register: the caller resolves the faults: no warning that nobody does */
};

/* What pages are filled with. */
enum uffdctl_contents {
	UFFDCTL_CONTENTS_NONE, /* they are not filled */
	UFFDCTL_CONTENTS_FD,   /* what from_fd has: a file, a device or a pipe */
	UFFDCTL_CONTENTS_ZERO,
	UFFDCTL_CONTENTS_URI, /* what a server has, through libnbd: from_uri, such as nbd://host/export */
};

/* Is it a URI for UFFDCTL_CONTENTS_URI? Can such be used: -ENOTSUP: libnbd is not there. Since 0.1. */
bool uffdctl_is_uri(const char *text);
int uffdctl_uri_check(struct uffdctl *u);

/*
 * What filling does with a page that is not mapped in the range, but through another mapping of its file, in the
 * target or in any other process: such a page may be right, or older than the contents.
 */
enum uffdctl_elsewhere {
	UFFDCTL_ELSEWHERE_REFUSE,    /* neither write nor continue it; its waiters keep waiting */
	UFFDCTL_ELSEWHERE_OVERWRITE, /* write it, then continue it */
	UFFDCTL_ELSEWHERE_KEEP,	     /* continue it as it is */
};

/* For all actions. What an action has no use for must be 0, progress and nr_threads aside. */
struct uffdctl_action_opts {
	size_t size;
	uint64_t flags;		  /* UFFDCTL_ACTION_* */
	uffdctl_result_fn result; /* gets the results; may be NULL */
	/* Called some ten times a second; if it returns non-zero, the work stops. May be NULL. */
	int (*progress)(void *data, uint64_t done_bytes, uint64_t total_bytes);
	void *data;			  /* for both */
	unsigned int nr_threads;	  /* 0: one for each CPU that may be used */
	enum uffdctl_elsewhere elsewhere; /* continue with contents */
	enum uffdctl_contents contents;	  /* continue, copy: for pages that are not mapped */
	int from_fd;			  /* with UFFDCTL_CONTENTS_FD */
	uint64_t from_offset;		  /* where the contents, or with _BY_OFFSET the image, begin in it */
	const char *from_uri;		  /* with UFFDCTL_CONTENTS_URI */
};

/*
 * Register ranges. Modes that a range already has are kept.
 * @modes: UFFDCTL_MODE_*
 * 0: everything was done; -EIO: some parts were not, see the results; -EINTR: a signal was handled while a child
 * process read ELF files for a :SYMBOL; -EINVAL: a flag that the action does not have; errors of uffdctl_maps().
 * Beneath: UFFDIO_REGISTER. Since 0.1.
 */
int uffdctl_register(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, uint64_t modes,
		     const struct uffdctl_action_opts *opts);

/* Unregister ranges, and wake their waiters. Beneath: UFFDIO_UNREGISTER, UFFDIO_WAKE. Since 0.1. */
int uffdctl_unregister(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
		       const struct uffdctl_action_opts *opts);

/* Wake the waiters in the ranges, which need not be mapped. Beneath: UFFDIO_WAKE. Since 0.1. */
int uffdctl_wake(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, const struct uffdctl_action_opts *opts);

/*
 * Resolve minor faults before or while they happen: map the pages that are in the page cache, optionally after
 * filling them through a second mapping. Poisoned pages are left so, and counted as already; see uffdctl_poison().
 * -EINTR: stopped by progress; -EBUSY: another process reads the messages, resolves faults, or has locked the memory;
 * -ENODATA: from_fd is too short; -EXDEV: it can't be shown whose memory the userfaultfd governs; others as
 * uffdctl_register().
 * Beneath: UFFDIO_CONTINUE, UFFDIO_WAKE, PAGEMAP_SCAN; on a second mapping in the caller, registered on a userfaultfd
 * of its own: UFFDIO_COPY, UFFDIO_CONTINUE, /proc/self/pagemap and process_vm_writev(2). Since 0.1.
 */
int uffdctl_continue(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
		     const struct uffdctl_action_opts *opts);

/*
 * Resolve missing faults before or while they happen: put pages with contents where there are none. Each page appears
 * at once with all of its contents; existing and poisoned pages are left alone. In a range that is registered for wp,
 * pages are write-protected.
 * @opts: contents must be given
 * -EINTR, -ENODATA as uffdctl_continue(); -EINVAL: no contents; others as uffdctl_register().
 * Beneath: UFFDIO_COPY, UFFDIO_WAKE; PAGEMAP_SCAN or /proc/PID/pagemap for poison and rwp. Since 0.1.
 */
int uffdctl_copy(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, const struct uffdctl_action_opts *opts);

/*
 * Resolve missing faults with zeros; this takes no memory if the kernel's zero page can be mapped. It fails for
 * hugetlbfs, and for ranges that are registered for wp, as the results say.
 * Beneath: UFFDIO_ZEROPAGE, UFFDIO_WAKE. Since 0.1.
 */
int uffdctl_zeropage(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
		     const struct uffdctl_action_opts *opts);

/*
 * Poison pages where there is no entry in the page table: each access to them fails with SIGBUS, and in the kernel with
 * EFAULT or EHWPOISON. The target dies of it unless it handles the signal. What there is is left alone.
 * Beneath: UFFDIO_POISON (Linux 6.6), UFFDIO_WAKE. Since 0.1.
 */
int uffdctl_poison(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
		   const struct uffdctl_action_opts *opts);

/*
 * Mark pages, so that writes to them, or all accesses, fault; or with UFFDCTL_ACTION_OFF remove the marks and wake. The
 * results have in mapped what the kernel went through: anonymous memory without a page there gets no mark unless the
 * userfaultfd has UFFD_FEATURE_WP_UNPOPULATED.
 * Beneath: UFFDIO_WRITEPROTECT, UFFDIO_RWPROTECT (Linux 7.3). Since 0.1.
 */
int uffdctl_writeprotect(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
			 const struct uffdctl_action_opts *opts);
int uffdctl_rwprotect(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
		      const struct uffdctl_action_opts *opts);

/* ---- serving: a handler ---- */

struct uffdctl_workset;

enum uffdctl_serve_flags {
	UFFDCTL_SERVE_DRY_RUN = 1 << 0,	       /* check everything, change nothing, read nothing */
	UFFDCTL_SERVE_FORCE = 1 << 1,	       /* although another process reads the messages, or may read them */
	UFFDCTL_SERVE_PREFAULT = 1 << 2,       /* also bring in what nobody has asked for */
	UFFDCTL_SERVE_UNTIL_COMPLETE = 1 << 3, /* unregister the ranges and end when all is there */
	UFFDCTL_SERVE_LOCK_MEMORY = 1 << 4, /* mlockall(2), as far as memory is in use; only a warning if that fails */
	UFFDCTL_SERVE_RECORD_SET = 1 << 5,  /* record what is touched, for uffdctl_serve_workset() */
	UFFDCTL_SERVE_VERIFY = 1 << 6,	    /* uffdctl_serve_verify() will be called */
	UFFDCTL_SERVE_ADOPT = 1 << 7,	    /* report what another handler has left, and who it is */
	UFFDCTL_SERVE_BY_ADDRESS = 1 << 8,  /* prefault does not wait for prefetch */
};

/* What faults are resolved with. */
enum uffdctl_serve_source {
	UFFDCTL_SERVE_KEEP = 1, /* what is in the page cache is right, and what is not there is zeros */
	UFFDCTL_SERVE_FD,	/* what from_fd has */
	UFFDCTL_SERVE_ZERO,
	UFFDCTL_SERVE_URI, /* what a server has, through libnbd: from_uri; see uffdctl_is_uri() */
};

/* Some ranges have their contents elsewhere. */
struct uffdctl_serve_map {
	const struct uffdctl_ranges *ranges;
	enum uffdctl_serve_source source; /* _FD, _ZERO or _URI */
	int from_fd;			  /* these as in struct uffdctl_serve_opts */
	uint64_t from_offset;
	const char *from_uri;
};

/* What is done if a page can't be resolved. */
enum uffdctl_on_error {
	UFFDCTL_ON_ERROR_HOLD,	  /* its waiters wait, and it is tried again; others go on */
	UFFDCTL_ON_ERROR_STOP,	  /* end; who waits keeps waiting for another handler */
	UFFDCTL_ON_ERROR_KILL,	  /* end, and kill the process */
	UFFDCTL_ON_ERROR_RELEASE, /* end, and unregister all ranges: the process goes on with what is there, or zeros */
};

struct uffdctl_handoff_region;

struct uffdctl_serve_opts {
	size_t size;
	uint64_t flags;			  /* UFFDCTL_SERVE_* of enum uffdctl_serve_flags */
	enum uffdctl_serve_source source; /* 0: only what maps say is served */
	int from_fd;	      /* with UFFDCTL_SERVE_FD: a file, a device or a pipe; the caller keeps it open */
	uint64_t from_offset; /* where the image begins in it */
	uint64_t rate;	      /* prefault: bytes a second; 0: no limit */
	const char *state;    /* file in which it is recorded what was filled; NULL: none; stays the caller's */
	/* Register the ranges for these first, unless that is 0; see below for what becomes of it at the end. */
	uint64_t register_modes;
	/* Where each range is in the image; without any, files are in it by offset, and anonymous memory in sequence. */
	const struct uffdctl_handoff_region *regions;
	size_t nr_regions;
	/* Called once a second, and while a pipe is read or a server is waited for; non-zero: stop. May be NULL. */
	int (*stop)(void *data);
	void *data;		 /* for it */
	unsigned int nr_threads; /* 0: one for each CPU that may be used, two at least, or eight with a server */
	enum uffdctl_elsewhere elsewhere; /* filling pages that are mapped elsewhere, as uffdctl_continue() */
	enum uffdctl_on_error on_error;
	unsigned int around;  /* pages: bring in the aligned window around a fault, too; a power of 2; 0, 1: do not */
	const char *from_uri; /* with UFFDCTL_SERVE_URI; stays the caller's */
	/* Bring this in first, in its order, in threads of its own; NULL: none; stays the caller's. */
	const struct uffdctl_workset *prefetch;
	uint64_t set_ns, set_bytes; /* record that long, and that much; 0: no limit */
	/*
	 * Which pages in the page cache are older than the contents, a bit a page of the mapping, by offset in the image, the
	 * lowest bit of a byte first: these are filled, and all others are right as they are. NULL: all are to be filled.
	 */
	const uint8_t *stale;
	uint64_t stale_bytes;
	const struct uffdctl_ranges
		*poison; /* for software under test: pages that fail, as with uffdctl_poison(); NULL: none */
	/* Likewise: each fault is resolved that much later, and up to jitter_ns, by chance, on top. */
	uint64_t delay_ns, jitter_ns;
	/* Ranges that have contents of their own; no two of them may have the same page. Not with UFFDCTL_SERVE_KEEP. */
	const struct uffdctl_serve_map *maps;
	size_t nr_maps;
	/* With UFFDCTL_SERVE_URI, instead of stale: the server says it in this context: "qemu:dirty-bitmap:NAME". */
	const char *stale_context;
};

/* Why it has ended. */
enum uffdctl_serve_end {
	UFFDCTL_SERVE_RUNS,
	UFFDCTL_SERVE_STOPPED,	/* uffdctl_serve_stop(), or stop() */
	UFFDCTL_SERVE_COMPLETE, /* UFFDCTL_SERVE_UNTIL_COMPLETE */
	UFFDCTL_SERVE_GONE,	/* the process has ended, or has another program, and so have its children */
	UFFDCTL_SERVE_FAILED,	/* on_error, or the messages can't be read; see the notes */
};
/* "stopped" and so on; NULL for UFFDCTL_SERVE_RUNS. Since 0.1. */
const char *uffdctl_serve_end_name(enum uffdctl_serve_end end);

struct uffdctl_serve_stats {
	size_t size;
	uint64_t faults[UFFDCTL_MAX_MODES]; /* messages, by bit of the mode */
	uint64_t events;		    /* messages: FORK, REMAP, REMOVE, UNMAP */
	uint64_t demand_bytes;		    /* filled, because of a fault */
	uint64_t prefault_bytes;	    /* filled in the background */
	uint64_t zero_bytes;		    /* resolved with zeros, which are in none of these two */
	uint64_t mapped_bytes;		    /* continued as they were */
	uint64_t unprotected_bytes;	    /* marks removed */
	uint64_t errors;		    /* pages that could not be resolved, each time */
	uint64_t held;			    /* pages whose waiters are held now */
	uint64_t lost_notes;		    /* there was no room for */
	uint64_t done_bytes;  /* of total_bytes: they are there, or need nothing; UFFDCTL_UNKNOWN with _KEEP */
	uint64_t total_bytes; /* of the ranges */
	uint64_t nr_ranges;   /* parts of mappings */
	uint64_t memories;    /* userfaultfds: that of the process, and those of children */
	uint64_t passed_ns;
	uint64_t end;		 /* enum uffdctl_serve_end */
	uint64_t prefetch_bytes; /* filled because of opts.prefetch, in none of the others */
	uint64_t late;		 /* pages of that set that were asked for before they were there */
	uint64_t touched_bytes;	 /* recorded */
	uint64_t recording;	 /* 1: it goes on; 0: there is none, or it has reached a limit */
	uint64_t put_back;	 /* threads that waited at the start and whose messages another handler had read */
	uint64_t around_bytes;	 /* the part of demand, zero and mapped that nobody had asked for: opts.around */
};

/* Something that should be known. */
struct uffdctl_serve_note {
	int level;		    /* UFFDCTL_LOG_ERROR, UFFDCTL_LOG_WARNING, UFFDCTL_LOG_NOTICE */
	int error;		    /* a negative errno, or 0 */
	struct uffdctl_range range; /* that it is about; empty: none */
	const char *text;	    /* valid during the call */
};
typedef void (*uffdctl_serve_note_fn)(void *data, const struct uffdctl_serve_note *note);

struct uffdctl_serve;

/*
 * Become the handler of a userfaultfd: check the ranges and lock the userfaultfd against other handlers, and with
 * contents also against other changes of its memory. No message is read before uffdctl_serve_start().
 * @ranges: what is served, with the ranges of opts.maps; all that faults outside is held. NULL if opts.source is 0
 * What was registered because of register_modes, and had not been before, is unregistered again when it fails, and, with
 * UFFDCTL_SERVE_KEEP, when it is stopped. With contents it then stays registered, which a note says.
 * @ret: out, close with uffdctl_serve_close() before the handle
 * -EBUSY: another process reads the messages, or has locked the memory; -EOPNOTSUPP: the userfaultfd has an event that
 * can't be followed with this source; -ENOENT: there is nothing to serve; -ENODATA: from_fd is too short; -EINVAL;
 * others as uffdctl_continue().
 * Beneath: fcntl(2) F_SETLK, /proc/PID/pagemap. Since 0.1.
 */
int uffdctl_serve_open(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
		       const struct uffdctl_serve_opts *opts, struct uffdctl_serve **ret);

/*
 * Begin to read messages, in threads of our own. They write nothing, and call nothing but stop().
 * -EAGAIN, -ENOMEM. Beneath: read(2), UFFDIO_COPY, UFFDIO_ZEROPAGE, UFFDIO_CONTINUE, UFFDIO_WRITEPROTECT,
 * UFFDIO_RWPROTECT, UFFDIO_WAKE. If the descriptor is not O_NONBLOCK, SIGRTMAX - 3 is used. Since 0.1.
 */
int uffdctl_serve_start(struct uffdctl_serve *s);

/*
 * Wait for notes up to timeout_ms, and hand them out. fn may take its time: nothing waits for it but the notes, of
 * which only some are kept, see lost_notes.
 * 1: it has ended, and there are no more notes; 0. Since 0.1.
 */
int uffdctl_serve_poll(struct uffdctl_serve *s, int timeout_ms, uffdctl_serve_note_fn fn, void *data);

/* What was done until now. Since 0.1. */
int uffdctl_serve_stats(struct uffdctl_serve *s, struct uffdctl_serve_stats *ret);

/*
 * What was touched until now, by its first touch: pages that were filled because of a fault.
 * @ret: out, free with uffdctl_workset_free()
 * -EINVAL: not recorded. Since 0.1.
 */
int uffdctl_serve_workset(struct uffdctl_serve *s, struct uffdctl_workset **ret);

struct uffdctl_serve_verified {
	size_t size;
	uint64_t same_bytes;   /* what was filled and is as in the source */
	uint64_t differ_bytes; /* the process has changed it, or it is wrong */
	uint64_t gone_bytes;   /* no page is there any more: it was removed, or unmapped */
	uint64_t unread_bytes; /* swapped out, or can't be read */
};
typedef void (*uffdctl_serve_differ_fn)(void *data, struct uffdctl_range range);

/*
 * After it has ended: compare what was filled, and was not there before, with its source.
 * @fn: called for each range that differs; may be NULL
 * -EINVAL: it runs, or flags had no UFFDCTL_SERVE_VERIFY; errors of the source, and of uffdctl_peek_ranges(), which is
 * used. Since 0.1.
 */
int uffdctl_serve_verify(struct uffdctl_serve *s, uffdctl_serve_differ_fn fn, void *data,
			 struct uffdctl_serve_verified *ret);

/* Ask it to end. May be called by any thread, and by a signal handler. Since 0.1. */
void uffdctl_serve_stop(struct uffdctl_serve *s);

/*
 * End it, and free it. What was read is resolved first, or its threads are woken, so that they fault again. This waits
 * for a read of the contents that does not come back. NULL is allowed. Since 0.1.
 */
void uffdctl_serve_close(struct uffdctl_serve *s);

struct uffdctl_zap_opts {
	size_t size;
	uint64_t flags; /* UFFDCTL_ACTION_DRY_RUN */
	/* Gets the results; mapped: bytes of pages whose entries were dropped. May be NULL. */
	uffdctl_result_fn result;
	/* Called while waiting for the lock, and between two steps; if it returns non-zero, the work stops. May be NULL. */
	int (*stop)(void *data);
	void *data;	       /* for both */
	uint64_t wait_lock_ns; /* as in uffdctl_handle_wait_lock() */
};

/*
 * Drop the page-table entries of shared memory: the pages stay in the page cache, so that what is registered for minor
 * faults there faults again. All threads of the process are stopped for that time, and one of them makes the call; it is
 * left as it was, also when the caller is killed meanwhile. "all" is what is registered for minor.
 * 0: everything was done; -EIO: some parts were not, see the results; -EINTR: stopped; -EBUSY: the process is traced
 * already, a thread does not stop, or the memory is locked; -EPERM: no ptrace access, or seccomp filters that can't be
 * suspended; -EOPNOTSUPP: no call can be run safely in it (another processor than x86-64 and arm64, 32-bit code, shadow stacks, no
 * fit thread); -ESRCH; others as uffdctl_register().
 * Beneath: ptrace(2); in the process, madvise(2) with MADV_DONTNEED. Since 0.1.
 */
int uffdctl_zap(struct uffdctl_target *t, const struct uffdctl_ranges *ranges, const struct uffdctl_zap_opts *opts);

/* ---- a program that is started ---- */

/*
 * A child process, held before its first instruction. Then its stack and what its ELF file and the dynamic linker's have
 * is mapped, and nothing else. All these functions are for one thread.
 */
struct uffdctl_child;

/*
 * @argv: ended by NULL; argv[0] is looked for in PATH
 * @ret: out, end with uffdctl_child_end()
 * Errors of execve(2); -EOPNOTSUPP: it is no 64-bit program, or the processor is neither x86-64 nor arm64; -EPERM.
 * Beneath: fork(2), ptrace(2): a program that is set-user-ID runs without that, as under strace(1). Since 0.1.
 */
int uffdctl_child_start(struct uffdctl *u, char *const argv[], struct uffdctl_child **ret);
pid_t uffdctl_child_pid(const struct uffdctl_child *c);
/* As uffdctl_target_open(); with UFFDCTL_HANDLE_INJECT on it, the child makes the userfaultfd. Close it before c. */
int uffdctl_child_target(struct uffdctl_child *c, struct uffdctl_target **ret);
int uffdctl_child_let_go(struct uffdctl_child *c);
/* Wait until it has ended; its PID is not used again until uffdctl_child_end(). */
int uffdctl_child_wait(struct uffdctl_child *c);
/* Free it, and wait for its end; kill it if it is held still. Returns its exit status, or 128 and the signal. */
int uffdctl_child_end(struct uffdctl_child *c);

/* ---- a userfaultfd that is handed over ---- */

/* What a process sends through a Unix socket: a userfaultfd, and which memory it governs, such as Firecracker does. */
struct uffdctl_handoff;

struct uffdctl_handoff_region {
	uint64_t start, size; /* in the process's memory */
	uint64_t offset;      /* of its contents in the image */
	uint64_t page_size;
};

/*
 * @socket: connected; belongs to the result, also when the peer keeps it open. After a failure it is still the caller's
 * -ESRCH: the peer is not in our PID namespace; -EPERM: it is neither our user's nor root's. Root may have all.
 * Since 0.1.
 */
int uffdctl_handoff_begin(struct uffdctl *u, int socket, struct uffdctl_handoff **ret);
void uffdctl_handoff_free(struct uffdctl_handoff *h);
/*
 * Read what has come, without waiting: call it when the socket can be read. Text and descriptor may come together or
 * apart.
 * 1: all is there; 0: more must come; -EBADMSG: no known protocol; -EPIPE: the peer has closed it. Since 0.1.
 */
int uffdctl_handoff_step(struct uffdctl_handoff *h);
/* Who has connected; the socket; the userfaultfd, which stays h's, or -1; "firecracker", or NULL; by
 * address, as an array, or NULL. Since 0.1. */
pid_t uffdctl_handoff_pid(const struct uffdctl_handoff *h);
int uffdctl_handoff_socket(const struct uffdctl_handoff *h);
int uffdctl_handoff_uffd(const struct uffdctl_handoff *h);
const char *uffdctl_handoff_protocol(const struct uffdctl_handoff *h);
const struct uffdctl_handoff_region *uffdctl_handoff_region(const struct uffdctl_handoff *h, size_t i);

/* A Unix socket on which processes hand userfaultfds over. */
struct uffdctl_listener;

/*
 * @path: made with mode 0600, less the umask; a socket on which nobody listens is replaced
 * @ret: out, free with uffdctl_handoff_unlisten(), which removes the socket
 * -EADDRINUSE: somebody listens there; -EEXIST: path is no socket; -ENAMETOOLONG. Since 0.1.
 */
int uffdctl_handoff_listen(struct uffdctl *u, const char *path, struct uffdctl_listener **ret);
void uffdctl_handoff_unlisten(struct uffdctl_listener *l);
/* For poll(2). */
int uffdctl_handoff_listener_socket(const struct uffdctl_listener *l);
/* Who has connected, without waiting: 1: *ret is set; 0: nobody; those of uffdctl_handoff_begin(). Since 0.1. */
int uffdctl_handoff_accept(struct uffdctl_listener *l, struct uffdctl_handoff **ret);

/* ---- working sets ---- */

/* Which parts of an image were touched, in the order of the first touch. */
struct uffdctl_workset;

struct uffdctl_workset_item {
	uint64_t offset, len; /* in the image, bytes */
	uint64_t time_ns;     /* of the first touch, since the recording began */
	enum uffdctl_access access;
};

enum uffdctl_workset_op {
	UFFDCTL_WORKSET_UNION,	   /* all of a, then what only b has */
	UFFDCTL_WORKSET_INTERSECT, /* what both have, in the order of a */
	UFFDCTL_WORKSET_DIFF,	   /* what only a has */
};

/* Read exactly len bytes of the image; 0 or a negative errno. */
typedef int (*uffdctl_workset_read_fn)(void *data, uint64_t offset, void *buf, uint64_t len);

/*
 * An empty one.
 * @image_bytes, @image_id: of which image; the same for two sets that can be combined
 */
int uffdctl_workset_new(struct uffdctl *u, uint64_t image_bytes, uint64_t image_id, struct uffdctl_workset **ret);
void uffdctl_workset_free(struct uffdctl_workset *s);
/* A number that tells images apart, from pages spread over all of it. Since 0.1. */
int uffdctl_workset_identify(struct uffdctl *u, uffdctl_workset_read_fn read, void *data, uint64_t bytes,
			     uint64_t *ret);
/* The caller sees to it that no part is in the set already. -ERANGE: outside the image. Since 0.1. */
int uffdctl_workset_add(struct uffdctl_workset *s, const struct uffdctl_workset_item *item);
uint64_t uffdctl_workset_image_bytes(const struct uffdctl_workset *s);
uint64_t uffdctl_workset_image_id(const struct uffdctl_workset *s);
size_t uffdctl_workset_count(const struct uffdctl_workset *s);
const struct uffdctl_workset_item *uffdctl_workset_get(const struct uffdctl_workset *s, size_t i);
/* As text; fd stays the caller's. Errors of open(2); -EBADMSG: not a working set, or damaged; -EPROTONOSUPPORT: of a later version. */
int uffdctl_workset_read(struct uffdctl *u, const char *path, struct uffdctl_workset **ret);
int uffdctl_workset_write(const struct uffdctl_workset *s, int fd);
/* -EXDEV: they are of different images. Since 0.1. */
int uffdctl_workset_combine(const struct uffdctl_workset *a, enum uffdctl_workset_op op,
			    const struct uffdctl_workset *b, struct uffdctl_workset **ret);

#ifdef __cplusplus
}
#endif
#endif
