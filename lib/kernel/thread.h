/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a thread is in now: its files under /proc/PID/task/TID. */
#ifndef UFFDCTL_THREAD_H
#define UFFDCTL_THREAD_H

#include <sys/types.h>

#include "lib/kernel/syscall.h"

struct thread_now {
	char comm[16];
	char state;	  /* as in stat: R, S, D, T, t, … */
	pid_t tracer_pid; /* 0: none */
	struct syscall_now syscall;
	char wchan[64]; /* the kernel function in which it sleeps; "": none, or not known */
};

/* The system call and wchan need ptrace access, and stay unknown without it. -errno: it has ended. */
int thread_read(int procfd, pid_t tid, struct thread_now *ret);

/* Its seccomp mode: 0: none, 1: strict, 2: filters; -1: not known, or not in this kernel. */
int thread_seccomp(int procfd, pid_t tid);

/*
 * What a descriptor of the thread is: "userfaultfd", "pipe", a path, or of a socket what socket_describe() says. Raw
 * bytes.
 * @pidfd: of its process
 * @ret_peer: out, as there
 * -errno: not known
 */
#define THREAD_FD_BYTES 4096
int thread_describe_fd(int procfd, int pidfd, pid_t pid, pid_t tid, int fd, char *buf, size_t size, pid_t *ret_peer);

#endif
