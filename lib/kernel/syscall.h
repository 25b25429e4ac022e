/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/PID/task/TID/syscall: the system call that a thread is in. */
#ifndef UFFDCTL_SYSCALL_H
#define UFFDCTL_SYSCALL_H

#include <stdbool.h>
#include <stdint.h>

#define NO_SYSCALL (-1)

struct syscall_now {
	int64_t nr;	/* NO_SYSCALL: it runs, or waits in a fault */
	uint64_t arg;	/* the first one */
	bool is_compat; /* its number may be that of another table: of a 32-bit program */
};

/* -EINVAL: another kind of text. */
int syscall_parse(const char *text, struct syscall_now *ret);

/* NULL: not known, as each name of a 32-bit program. */
const char *syscall_name(const struct syscall_now *s);

/* The descriptor that the call works on, its first argument; -1: none, or not known. */
int syscall_fd(const struct syscall_now *s);

#endif
