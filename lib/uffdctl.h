/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libuffdctl: inspect and drive the userfaultfds of other, running processes.
 *
 * Functions return 0 or a negative errno; results come back through the last
 * parameter, ret, which is written on success only. Every failure is explained
 * once through the log function (uffdctl_set_log). Addresses and sizes are in
 * bytes. An object may be used by one thread at a time. See libuffdctl(3).
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
	UFFDCTL_LOG_DEBUG = 7,
};

/* msg has no newline; names that come from a target are escaped in it. */
typedef void (*uffdctl_log_fn)(void *data, int level, const char *msg);

/*
 * Make a context.
 * @ret: out, free with uffdctl_free()
 * -ENOMEM. Since 0.1.
 */
int uffdctl_new(struct uffdctl **ret);

/* Free a context and what it caches. NULL is allowed. Objects made from it must be gone. */
void uffdctl_free(struct uffdctl *u);

/*
 * Say where messages go. Without this they are dropped.
 * @level: messages above it are not made
 * @fn: may be NULL
 * @data: handed to fn
 */
void uffdctl_set_log(struct uffdctl *u, int level, uffdctl_log_fn fn, void *data);

/* ---- names ---- */

/* Registration modes, as in UFFDIO_REGISTER_MODE_*. */
enum uffdctl_mode {
	UFFDCTL_MODE_MISSING = 1 << 0,
	UFFDCTL_MODE_WP = 1 << 1,
	UFFDCTL_MODE_MINOR = 1 << 2,
	UFFDCTL_MODE_RWP = 1 << 3,
};

/* The kernel's name, in lower case, of a bit of a mode, of features, of ioctls; NULL if it has none. */
const char *uffdctl_mode_name(unsigned int bit);
const char *uffdctl_feature_name(unsigned int bit);
const char *uffdctl_ioctl_name(unsigned int bit);

/*
 * Read a list of modes such as "minor,wp".
 * @ret: out, UFFDCTL_MODE_* bits
 * -EINVAL: empty, or a name that is none. Since 0.1.
 */
int uffdctl_modes_parse(const char *text, uint64_t *ret);

/*
 * Read a size: bytes, or with K, M, G, T (powers of 1024), or 0x…
 * @ret: out, bytes
 * -EINVAL, -ERANGE. Since 0.1.
 */
int uffdctl_size_parse(const char *text, uint64_t *ret);

/*
 * Make a name from a target fit to print: control characters, invalid UTF-8 and
 * characters that turn the direction of text become \xNN.
 * @name: any bytes up to a NUL
 * @ret: out, free with free()
 * -ENOMEM. Since 0.1.
 */
int uffdctl_escape(const char *name, char **ret);

/* ---- userfaultfds ---- */

/* Where answers come from. */
enum uffdctl_source {
	UFFDCTL_SOURCE_AUTO, /* bpf where it can be had, else proc */
	UFFDCTL_SOURCE_BPF,  /* BPF iterators: Linux 6.1, CAP_BPF + CAP_PERFMON, kernel BTF */
	UFFDCTL_SOURCE_PROC, /* /proc/PID/fd, fdinfo, smaps: what proc(5) lets the user see */
};

/* One descriptor of a userfaultfd. Descriptors of the same userfaultfd have the same ctx. */
struct uffdctl_uffd {
	uint32_t ctx; /* 1, 2, …; 0 if not known */
	pid_t pid;    /* who holds it */
	int fd;
	char comm[16];	   /* raw bytes: escape before printing */
	uint64_t features; /* of its UFFDIO_API; UFFDCTL_UNKNOWN before that */
	uint64_t pending;  /* waiting threads whose message nobody has read, or UFFDCTL_UNKNOWN */
	uint64_t total;	   /* all waiting threads, or UFFDCTL_UNKNOWN */
	pid_t target_pid;  /* whose memory it governs; 0 if not known or gone */
	uint64_t bytes[4]; /* registered, by bit of the mode, or UFFDCTL_UNKNOWN */
	uint64_t waits;	   /* 1: somebody waits in read, poll or epoll; 0: nobody; or UFFDCTL_UNKNOWN */
};

struct uffdctl_list;

/*
 * Find userfaultfds.
 * @pids: only those that these processes hold or whose memory is governed; NULL for all
 * @ret: out, free with uffdctl_list_free()
 * -EPERM, -ENOSYS: the source can't be had (BPF only); -ESRCH: no such process; -ENOMEM.
 * Beneath: bpf iter/task_file, iter/task, iter/task_vma; or /proc/PID/fd, kcmp(2). Since 0.1.
 */
int uffdctl_list(struct uffdctl *u, enum uffdctl_source source, const pid_t *pids, size_t nr_pids,
		 struct uffdctl_list **ret);
void uffdctl_list_free(struct uffdctl_list *l);
size_t uffdctl_list_count(const struct uffdctl_list *l);
const struct uffdctl_uffd *uffdctl_list_get(const struct uffdctl_list *l, size_t i);
/* The source that answered. */
enum uffdctl_source uffdctl_list_source(const struct uffdctl_list *l);

/* ---- targets and their mappings ---- */

struct uffdctl_target;

/*
 * Open a process. It is held by a pidfd and by descriptors of its /proc files, so that
 * neither a recycled PID nor a new program after execve(2) is taken for it.
 * @ret: out, close with uffdctl_target_close()
 * -ESRCH: no such process, a zombie, a kernel thread; -EINVAL: a thread's ID;
 * -EACCES, -EPERM: no ptrace access. Since 0.1.
 */
int uffdctl_target_open(struct uffdctl *u, pid_t pid, struct uffdctl_target **ret);
void uffdctl_target_close(struct uffdctl_target *t);
/* Is it still there, with the same program? 0, or -ESRCH, logged. */
int uffdctl_target_check(struct uffdctl_target *t);
pid_t uffdctl_target_pid(const struct uffdctl_target *t);
/* Its name when it was opened, escaped. Holds until uffdctl_target_close(). Since 0.1. */
const char *uffdctl_target_comm(const struct uffdctl_target *t);

/* Sizes of a mapping in smaps, in bytes; in the order of uffdctl_smaps_key(). */
#define UFFDCTL_NR_SIZES 17
/* The key as in proc_pid_smaps(5), "Rss" and so on; NULL past the last. */
const char *uffdctl_smaps_key(unsigned int i);

struct uffdctl_vma {
	struct uffdctl_range range;
	uint64_t offset; /* in the file, bytes */
	uint64_t inode;	 /* 0: no file */
	uint32_t dev_major, dev_minor;
	char perms[5];	       /* "rw-s" */
	const char *name;      /* as in /proc/PID/maps, raw; "" for none; NULL if not known */
	const char *vm_flags;  /* mnemonics as in smaps, separated by spaces; NULL if not known */
	uint64_t modes;	       /* UFFDCTL_MODE_* that it is registered for */
	uint64_t page_size;    /* KernelPageSize */
	uint32_t ctx;	       /* of the list given; 0 none or not known; UFFDCTL_CTX_UNHELD */
	const uint64_t *sizes; /* UFFDCTL_NR_SIZES of them, or NULL */
	unsigned int kind;     /* these two are the library's own */
	unsigned int fs_dev;
};

/* Registered on a userfaultfd that no visible process holds. */
#define UFFDCTL_CTX_UNHELD UINT32_MAX

enum uffdctl_maps_flags {
	UFFDCTL_MAPS_ALL = 1 << 0,   /* also mappings without a userfaultfd */
	UFFDCTL_MAPS_SIZES = 1 << 1, /* with sizes: reads smaps, which walks page tables */
};

struct uffdctl_maps;

/*
 * Read the mappings of a target, in the order of their addresses. [vsyscall], which is
 * the kernel's and in no process's map, is left out.
 * @flags: UFFDCTL_MAPS_*
 * @list: names the owners (ctx), or NULL; must have come from BPF to name any
 * @ret: out, free with uffdctl_maps_free()
 * -ESRCH: the process is gone, or has another program; -EPERM, -ENOSYS: no BPF; -ENOMEM.
 * Beneath: bpf iter/task_vma and PROCMAP_QUERY, or /proc/PID/smaps. Since 0.1.
 */
int uffdctl_maps(struct uffdctl_target *t, enum uffdctl_source source, unsigned int flags,
		 const struct uffdctl_list *list, struct uffdctl_maps **ret);
void uffdctl_maps_free(struct uffdctl_maps *m);
size_t uffdctl_maps_count(const struct uffdctl_maps *m);
const struct uffdctl_vma *uffdctl_maps_get(const struct uffdctl_maps *m, size_t i);
enum uffdctl_source uffdctl_maps_source(const struct uffdctl_maps *m);

/* What a page of a file holds that a target has mapped, whether the target has mapped that page or not. */
struct uffdctl_peek {
	uint64_t cached;    /* 1: it is in the page cache; 0: not; UFFDCTL_UNKNOWN, as with hugetlbfs */
	uint64_t page_size; /* of the mapping */
	size_t len;	    /* bytes that were read; 0 where it is not cached or can't be read */
};

/*
 * Look at the contents behind an address without touching the target: what a thread that waits there
 * would find if its minor fault were continued. Changes nothing, and makes no page.
 * @addr: in a mapping of a file
 * @buf: out, the bytes from addr on, up to the end of its page
 * @len: of buf; may be 0
 * -ENOENT: no mapping there; -EOPNOTSUPP: one without a file; -ESRCH; -EPERM, -EACCES: the file can't be
 * opened. Beneath: /proc/PID/map_files or the target's descriptor; mincore(2), pread(2). Since 0.1.
 */
int uffdctl_peek(struct uffdctl_target *t, uint64_t addr, void *buf, size_t len, struct uffdctl_peek *ret);

/* ---- threads that wait ---- */

enum uffdctl_kind {
	UFFDCTL_KIND_UNKNOWN,
	UFFDCTL_KIND_MINOR,
	UFFDCTL_KIND_MISSING,
	UFFDCTL_KIND_WP,
	UFFDCTL_KIND_RWP,
	UFFDCTL_KIND_FORK, /* stuck in an event that nobody reads */
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

enum uffdctl_wait_state {
	UFFDCTL_WAIT_UNKNOWN,
	UFFDCTL_WAIT_QUEUED,	/* no handler has read its message */
	UFFDCTL_WAIT_DELIVERED, /* read and not resolved */
};

/* A thread that waits. */
struct uffdctl_waiter {
	uint32_t ctx; /* of uffdctl_pending_list(); 0 if not known */
	pid_t pid, tid;
	char comm[16];	  /* the thread's; raw bytes */
	pid_t target_pid; /* whose memory; 0 if not known */
	uint64_t addr;	  /* UFFDCTL_UNKNOWN; always so for fork */
	enum uffdctl_kind kind;
	enum uffdctl_access access;
	enum uffdctl_wait_state state;
	uint64_t slept_ns; /* since the thread last ran, to a scheduler tick; UFFDCTL_UNKNOWN */
	const char *name;  /* mapping, raw; NULL if not known */
	uint64_t offset;   /* of addr in its file, or UFFDCTL_UNKNOWN */
};

struct uffdctl_pending;

/*
 * Find the threads that wait in a userfaultfd now, also those that began before anybody looked;
 * longest asleep first.
 * @pids: only threads of these processes and threads that wait for their memory; NULL for all
 * @ret: out, free with uffdctl_pending_free()
 * Errors as uffdctl_list(). Beneath: the userfaultfd's wait queues, by bpf iter/task_file;
 * or /proc/PID/task/TID/stack and wchan. Since 0.1.
 */
int uffdctl_pending(struct uffdctl *u, enum uffdctl_source source, const pid_t *pids, size_t nr_pids,
		    struct uffdctl_pending **ret);
void uffdctl_pending_free(struct uffdctl_pending *p);
size_t uffdctl_pending_count(const struct uffdctl_pending *p);
const struct uffdctl_waiter *uffdctl_pending_get(const struct uffdctl_pending *p, size_t i);
/* Processes that could not be looked into, for want of ptrace access and of BPF; 0 if pids were given. Since 0.1. */
size_t uffdctl_pending_hidden(const struct uffdctl_pending *p);
/* The userfaultfds of the same look, for their holders. */
const struct uffdctl_list *uffdctl_pending_list(const struct uffdctl_pending *p);

/* ---- watching faults ---- */

/* How a fault ended. */
enum uffdctl_end {
	UFFDCTL_END_WOKEN,	/* by a range operation, see op */
	UFFDCTL_END_SIGNAL,	/* by a signal to the thread */
	UFFDCTL_END_RELEASED,	/* by the last close of the userfaultfd */
	UFFDCTL_END_NOT_WAITED, /* its page was there before the thread slept */
	UFFDCTL_NR_ENDS,
};
const char *uffdctl_end_name(enum uffdctl_end end);

/* A fault that has ended. */
struct uffdctl_fault {
	uint64_t start_ns;  /* CLOCK_MONOTONIC */
	uint64_t wait_ns;   /* until it was woken; UFFDCTL_UNKNOWN */
	uint64_t queue_ns;  /* of that until its message was read; UFFDCTL_UNKNOWN if it was not */
	uint64_t addr;	    /* as in the message */
	uint64_t ip;	    /* user-mode instruction, of the system call if in one; UFFDCTL_UNKNOWN */
	pid_t pid, tid;	    /* who waited */
	pid_t target_pid;   /* whose memory; 0 if not known */
	pid_t resolver_pid; /* 0: nobody */
	char comm[16], resolver_comm[16];
	enum uffdctl_kind kind;
	enum uffdctl_access access;
	enum uffdctl_end end;
	const char *op;	  /* ioctl that ended it, or NULL */
	const char *name; /* mapping, raw; NULL if not known */
	uint64_t offset;  /* of addr in its file, or UFFDCTL_UNKNOWN */
};

#define UFFDCTL_NR_BUCKETS 26

/* Totals since watching began; exact whatever the stream lost. */
struct uffdctl_watch_stats {
	uint64_t faults[4]; /* by uffdctl_kind, minor first */
	uint64_t ended[UFFDCTL_NR_ENDS];
	uint64_t pending;     /* faults that have not ended */
	uint64_t before;      /* threads that waited when watching began: counted nowhere else */
	uint64_t before_left; /* of these, those that wait still */
	uint64_t blocked;     /* faults that slept */
	uint64_t delivered;   /* messages of faults that were read */
	uint64_t lost_events; /* faults that are in the totals, but were not handed out */
	uint64_t missed;      /* faults that there was no room to follow */
	uint64_t max_wait_ns;
	uint64_t buckets[UFFDCTL_NR_BUCKETS]; /* waits of 2^i us and less, the last of more */
	uint64_t unknown_waits; /* faults that have ended, how long they waited is not known: in no bucket */
};

struct uffdctl_watch;

enum uffdctl_watch_flags {
	UFFDCTL_WATCH_STREAM = 1 << 0,	 /* hand out each fault; without, totals alone are kept */
	UFFDCTL_WATCH_CHILDREN = 1 << 1, /* also processes that those of pids have started, or will */
};

struct uffdctl_watch_opts {
	const char *backend; /* a name of uffdctl_watch_backend(), or NULL for the best there is */
	const pid_t *pids;   /* whose memory; NULL for all */
	size_t nr_pids;
	unsigned int flags;  /* UFFDCTL_WATCH_* */
	unsigned int kinds;  /* only these, 1 << enum uffdctl_kind; 0: all */
	unsigned int access; /* only these, 1 << enum uffdctl_access; 0: both */
	/* Only there: of one process, as they lie when watching begins; NULL: everywhere. */
	const struct uffdctl_ranges *ranges;
};

/*
 * Begin to watch faults. What is not chosen by opts is not counted either.
 * @ret: out, end with uffdctl_watch_close()
 * -EPERM, -ENOSYS, …: the backend can't be had, logged with the reason; -EINVAL: no such backend;
 * -ESRCH: no such process; for ranges what is listed under uffdctl_register().
 * Beneath: BPF programs on the tracepoints userfaultfd:*, on handle_userfault() by fentry or kprobe,
 * or on the tracepoints sched_switch, sched_waking and sys_exit. Since 0.1.
 */
int uffdctl_watch_open(struct uffdctl *u, const struct uffdctl_watch_opts *opts, struct uffdctl_watch **ret);
void uffdctl_watch_close(struct uffdctl_watch *w);
const char *uffdctl_watch_backend(const struct uffdctl_watch *w);

/* From when on faults are counted (CLOCK_MONOTONIC), which is before uffdctl_watch_open() returns. Since 0.1. */
uint64_t uffdctl_watch_began_ns(const struct uffdctl_watch *w);

typedef void (*uffdctl_fault_fn)(void *data, const struct uffdctl_fault *fault);

/*
 * Hand out the faults that have ended, waiting for one for at most timeout_ms.
 * Call it at least once a second: it also learns of userfaultfds that are new.
 * @fn: may be NULL without UFFDCTL_WATCH_STREAM
 * Returns how many there were, or a negative errno; -EINTR after a signal.
 */
int uffdctl_watch_poll(struct uffdctl_watch *w, int timeout_ms, uffdctl_fault_fn fn, void *data);

int uffdctl_watch_stats(struct uffdctl_watch *w, struct uffdctl_watch_stats *ret);

/*
 * Have all processes ended that were named, with UFFDCTL_WATCH_CHILDREN those that they started too?
 * Then nothing is counted any more. Never where all are watched. Since 0.1.
 */
bool uffdctl_watch_ended(const struct uffdctl_watch *w);

/* ---- instructions ---- */

/* What stands at the addresses of instructions, looked up by a thread of its own, in a child process, and kept. */
struct uffdctl_symbols;

enum uffdctl_symbols_flags {
	UFFDCTL_SYMBOLS_LINES = 1 << 0, /* source lines too, from debug information */
};

/*
 * Make an empty cache. It takes less than half of the descriptors that RLIMIT_NOFILE allows.
 * @flags: UFFDCTL_SYMBOLS_*
 * @ret: out, free with uffdctl_symbols_free()
 * -EINVAL: flags; -ENOMEM. Since 0.1.
 */
int uffdctl_symbols_new(struct uffdctl *u, unsigned int flags, struct uffdctl_symbols **ret);

/* Free it; ends the thread, for which it waits for a second at most. */
void uffdctl_symbols_free(struct uffdctl_symbols *s);

/*
 * The text of an instruction: "function+0x1f (libfoo.so.1)", " file.c:123" after it with
 * UFFDCTL_SYMBOLS_LINES. "0x1234 (libfoo.so.1)", as addr2line(1) takes it, where no function is known.
 * Names are raw bytes and not demangled; a function's is cut off at 512 bytes. Of a process that has ended
 * what was looked up before is still known, until its PID has another program or stands for another process.
 * @ip: an address of user mode
 * @timeout_ms: how long to wait for what was not looked up before; 0: not at all; negative: for as long as
 * it takes
 * @ret: out, holds until the next call with s
 * -EAGAIN: not looked up yet, but asked for: call again; -ENOENT: nothing is known of ip, or none of the
 * process's executable mappings; -ESRCH: the process ended before; -EPERM, -EACCES: no ptrace access;
 * -EMFILE, -ENOMEM. Explained at debug level, not as errors.
 * Beneath: /proc/PID/maps, map_files or root, pagemap, mem for the vdso; root/tmp/perf-PID.map of its own
 * namespaces; debug files beside and under /usr/lib/debug, none from a network. A child process opens and reads
 * them: a file system that does not answer is given up after 5 seconds and not asked again. Since 0.1.
 */
int uffdctl_symbols_get(struct uffdctl_symbols *s, pid_t pid, uint64_t ip, int timeout_ms, const char **ret);

/* ---- ranges ---- */

struct uffdctl_ranges;

int uffdctl_ranges_new(struct uffdctl *u, struct uffdctl_ranges **ret);
void uffdctl_ranges_free(struct uffdctl_ranges *r);

/*
 * Add what a user wrote: START-END, START+LEN, @GLOB, :SYMBOL, FILE:SYMBOL or all (uffdctl(1), RANGES).
 * -EINVAL: none of these, reversed, empty, overflowing or not on page bounds. Since 0.1.
 */
int uffdctl_ranges_add(struct uffdctl_ranges *r, const char *text);
size_t uffdctl_ranges_count(const struct uffdctl_ranges *r);

/* ---- acting on a target ---- */

/* A userfaultfd of the target's, taken with pidfd_getfd(2). */
struct uffdctl_handle;

enum uffdctl_handle_flags {
	UFFDCTL_HANDSHAKE = 1 << 0,	/* issue UFFDIO_API where the target has not: its own will fail */
	UFFDCTL_HANDSHAKE_DRY = 1 << 1, /* take one without handshake as if that had been done */
};

/*
 * Take a userfaultfd that governs the target's memory.
 * @pid: whose descriptor; 0 for the target's own
 * @fd: its number there; -1 to choose: the only one there is, else the one that owns all of the ranges
 * @ranges: what it will be used on, or NULL
 * -EBADF: no such descriptor, or no userfaultfd; -ENOENT: there is none; -ENOTUNIQ: several;
 * -EPROTO: no handshake yet; -EXDEV: governs another process's memory; -EPERM. Since 0.1.
 */
int uffdctl_handle_open(struct uffdctl_target *t, pid_t pid, int fd, const struct uffdctl_ranges *ranges,
			unsigned int flags, struct uffdctl_handle **ret);
void uffdctl_handle_close(struct uffdctl_handle *h);
/*
 * Actions that change memory lock it against other processes that act on it through this library: one
 * that finds it locked waits for wait_ns, 0 unless this is called, and then fails with -EBUSY.
 * @stop: called some 50 times a second meanwhile; non-zero ends the wait with -EINTR; may be NULL
 * Beneath: F_SETLK on the userfaultfds of the memory, so that threads of one process do not exclude each
 * other, and closing a handle ends what another handle of the same process has locked. Since 0.1.
 */
void uffdctl_handle_wait_lock(struct uffdctl_handle *h, uint64_t wait_ns, int (*stop)(void *data), void *data);
/* The descriptor's holder and number there. */
pid_t uffdctl_handle_pid(const struct uffdctl_handle *h);
int uffdctl_handle_fd(const struct uffdctl_handle *h);

/* What became of one part of a range: one mapping, or the part of it that the range covers. */
struct uffdctl_result {
	struct uffdctl_range range;
	uint64_t modes;		/* register: now there; unregister: that were */
	uint64_t ioctls;	/* register: 1 << _UFFDIO_*; UFFDCTL_UNKNOWN in a dry run */
	uint64_t mapped;	/* resolve: bytes that have a page-table entry now by our doing */
	uint64_t already;	/* had one (EEXIST) */
	uint64_t absent;	/* continue: no page in the page cache (EFAULT); all: past the end of the file */
	int error;		/* 0 or a negative errno */
	const char *error_text; /* NULL with error 0 */
	uint64_t filled;	/* of mapped: bytes that were written first */
	uint64_t elsewhere;	/* left alone, since they are mapped elsewhere too (enum uffdctl_elsewhere) */
};

/* Called once for each part, in order of the ranges given, from the calling thread. */
typedef void (*uffdctl_result_fn)(void *data, const struct uffdctl_result *result);

enum uffdctl_action_flags {
	UFFDCTL_DRY_RUN = 1 << 0,	/* check all, change nothing */
	UFFDCTL_NO_WAKE = 1 << 1,	/* leave waiting threads asleep */
	UFFDCTL_WRITE_PROTECT = 1 << 2, /* continue: with UFFDIO_CONTINUE_MODE_WP everywhere */
	UFFDCTL_FORCE = 1 << 3,		/* continue: fill although somebody reads the messages;
					   copy, zeropage: although the target's cgroup lacks room */
	UFFDCTL_BY_OFFSET = 1 << 4,	/* contents lie as in the file beneath the mapping, not end to end */
};

/*
 * Register ranges. Modes that a range has are kept.
 * @modes: UFFDCTL_MODE_*
 * @flags: UFFDCTL_DRY_RUN
 * 0: all of it was done; -EIO: some of it was not, see the results; -EINTR: a signal was handled while ELF
 * files were read for a :SYMBOL, by a child process; what is listed under
 * uffdctl_maps(). Beneath: UFFDIO_REGISTER. Since 0.1.
 */
int uffdctl_register(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, uint64_t modes, unsigned int flags,
		     uffdctl_result_fn fn, void *data);

/* Unregister ranges, and wake whoever waits there. Beneath: UFFDIO_UNREGISTER, UFFDIO_WAKE. Since 0.1. */
int uffdctl_unregister(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, unsigned int flags,
		       uffdctl_result_fn fn, void *data);

/* Wake whoever waits in the ranges, mapped or not. Beneath: UFFDIO_WAKE. Since 0.1. */
int uffdctl_wake(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, unsigned int flags,
		 uffdctl_result_fn fn, void *data);

/*
 * What filling does with a page that is not mapped in the range, but through another mapping of its file, of
 * the target or of any other process: such a page may be right, or older than the contents.
 */
enum uffdctl_elsewhere {
	UFFDCTL_ELSEWHERE_REFUSE,    /* neither write nor continue it; who waits on it waits on */
	UFFDCTL_ELSEWHERE_OVERWRITE, /* write it, then continue it */
	UFFDCTL_ELSEWHERE_KEEP,	     /* continue it as it is */
};

struct uffdctl_resolve_opts {
	unsigned int flags;	 /* UFFDCTL_DRY_RUN, _NO_WAKE, _FORCE, _BY_OFFSET; continue: _WRITE_PROTECT */
	unsigned int nr_threads; /* 0: as many as CPUs may be used */
	int from_fd;		 /* contents for what is not mapped, or -1; a file, a device or a pipe */
	uint64_t from_offset;	 /* where the first range's contents, or with _BY_OFFSET the file's, begin */
	/* Called some ten times a second; non-zero stops the work cleanly. May be NULL. */
	int (*progress)(void *data, uint64_t done_bytes, uint64_t total_bytes);
	void *data; /* for progress and fn */
	enum uffdctl_elsewhere elsewhere; /* continue with from_fd */
};

/*
 * Resolve minor faults before or while they happen: enter what the page cache holds into
 * the page table, optionally after filling it through a second mapping.
 * -EINTR: stopped by progress; -EBUSY: somebody else reads the messages, resolves faults, or has locked the
 * memory; -ENODATA: from_fd is too short; -EXDEV: it can't be shown whose memory the userfaultfd governs;
 * others as uffdctl_register().
 * Beneath: UFFDIO_CONTINUE, UFFDIO_WAKE, PAGEMAP_SCAN; on a second mapping of ours, registered on a
 * userfaultfd of ours, UFFDIO_COPY, UFFDIO_CONTINUE, /proc/self/pagemap and process_vm_writev(2). Since 0.1.
 */
int uffdctl_continue(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
		     const struct uffdctl_resolve_opts *opts, uffdctl_result_fn fn);

/*
 * Resolve missing faults before or while they happen: put pages with contents where none are. Each
 * appears at once and whole; what is there is left alone. Where a range is registered for wp, they come
 * write-protected.
 * @opts: from_fd must be given
 * -EINTR, -ENODATA as uffdctl_continue(); -EINVAL: no from_fd; others as uffdctl_register().
 * Beneath: UFFDIO_COPY, UFFDIO_WAKE; PAGEMAP_SCAN or /proc/PID/pagemap for rwp. Since 0.1.
 */
int uffdctl_copy(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, const struct uffdctl_resolve_opts *opts,
		 uffdctl_result_fn fn);

/*
 * Likewise with zeros, which take no memory where the kernel's zero page does. Not for hugetlbfs, nor
 * where a range is registered for wp, as the results say.
 * @opts: from_fd is ignored
 * Beneath: UFFDIO_ZEROPAGE, UFFDIO_WAKE. Since 0.1.
 */
int uffdctl_zeropage(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
		     const struct uffdctl_resolve_opts *opts, uffdctl_result_fn fn);

#ifdef __cplusplus
}
#endif
#endif
