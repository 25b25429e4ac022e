/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Does a system call reach the kernel's own code? It is made with arguments that the kernel refuses before it looks at
 * privileges; a seccomp filter, which decides by the number of the call, answers in another way.
 */
#ifndef UFFDCTL_REACH_H
#define UFFDCTL_REACH_H

enum reach_call {
	REACH_USERFAULTFD,
	REACH_BPF,
	REACH_PIDFD_OPEN,
	REACH_PIDFD_GETFD,
	REACH_PTRACE,
	REACH_PROCESS_VM_READV,
	REACH_KCMP,
	REACH_CACHESTAT,
	REACH_MEMFD_CREATE,
	REACH_PERF_EVENT_OPEN,
	REACH_NR_CALLS,
};

#define REACH_KILLED 1

/*
 * 0: it does; a negative errno: what was returned instead; REACH_KILLED: the caller would be killed. Each call is made
 * in a child process.
 */
int reach_try(enum reach_call call);
/* "userfaultfd(2)" */
const char *reach_name(enum reach_call call);

#endif
