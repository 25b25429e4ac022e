/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the seccomp filters of a traced thread would do about a system call. */
#ifndef UFFDCTL_SECCOMP_H
#define UFFDCTL_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct seccomp_filters {
	struct seccomp_program {
		struct sock_filter *code;
		size_t len;
	} * programs;
	size_t nr, alloc;
};

/*
 * The filters of a thread that is stopped by us.
 * -EACCES: without CAP_SYS_ADMIN, or with filters of our own; -EINVAL, -EIO: not in this kernel
 * (CONFIG_CHECKPOINT_RESTORE); -ENOMEM.
 */
int seccomp_read(pid_t tid, struct seccomp_filters *ret);
void seccomp_free(struct seccomp_filters *f);

enum seccomp_answer {
	SECCOMP_PASSES,
	SECCOMP_FAILS, /* it is not made, and returns an errno */
	SECCOMP_HARMS, /* it kills the thread, sends it a signal, or has another process answer */
};

/*
 * What they answer, all together, if nobody traces the thread.
 * @ip: behind the instruction that makes the call
 */
enum seccomp_answer seccomp_ask(const struct seccomp_filters *f, long nr, uint64_t ip, const uint64_t args[6]);

#endif
