/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ptrace(2) of threads that are seized. All calls for a thread come from the thread of ours that seized it; when that
 * ends, all its threads are let go, also those that have not stopped.
 */
#ifndef UFFDCTL_PTRACE_H
#define UFFDCTL_PTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* @no_filters: suspend its seccomp filters while it is traced; -EPERM without CAP_SYS_ADMIN, or with filters of our own */
int trace_seize(pid_t tid, bool no_filters);
/* A child of ours: it stops at execve(2), too, and dies with us until it is let go. */
int trace_seize_child(pid_t pid);
/* Make it stop. */
int trace_interrupt(pid_t tid);

/* From a stop on. @sig: the signal to deliver, at TRACE_SIGNAL; otherwise 0 */
int trace_continue(pid_t tid, int sig);
/* To the beginning or the end of a system call. */
int trace_to_syscall(pid_t tid, int sig);
int trace_let_go(pid_t tid, int sig);

enum trace_event {
	TRACE_STOPPED, /* as trace_interrupt() wanted, or by job control */
	TRACE_SYSCALL, /* at the beginning or the end of a system call */
	TRACE_SIGNAL,  /* a signal is to be delivered */
	TRACE_EXEC,    /* within an execve(2) that works: trace_seize_child() */
	TRACE_ENDED,
};

struct trace_stop {
	enum trace_event event;
	int sig; /* TRACE_SIGNAL: which */
};

/*
 * Wait until a thread stops. The stop is only looked at, not taken: were it taken and we were killed then, the kernel
 * would forget the signal.
 * @until_ns: of CLOCK_MONOTONIC; then -ETIMEDOUT
 */
int trace_wait(pid_t tid, uint64_t until_ns, struct trace_stop *ret);

/* Blocked signals, of a thread that is stopped. */
int trace_get_mask(pid_t tid, uint64_t *ret);
int trace_set_mask(pid_t tid, uint64_t mask);

/* @len: in: of buf; out: of the registers */
int trace_get_regs(pid_t tid, unsigned int type, void *buf, size_t *len);
int trace_set_regs(pid_t tid, unsigned int type, const void *buf, size_t len);

/* The address of its struct rseq; 0: none. */
int trace_get_rseq(pid_t tid, uint64_t *ret);

/* Does the kernel turn its system calls into signals (PR_SET_SYSCALL_USER_DISPATCH)? False before Linux 6.4. */
bool trace_dispatches(pid_t tid);

#endif
