/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs system calls inside a target that knows nothing of it, by ptrace(2).
 *
 * All threads are stopped. One of them is made to run the calls, with changed registers and an instruction of the
 * target's own; then it gets its registers back. Before they are changed, the way back is laid below its stack
 * (ptrace_regs.h), so that the thread returns to where it was when we are killed at any moment.
 */
#ifndef UFFDCTL_INJECT_H
#define UFFDCTL_INJECT_H

#include "lib/kernel/target.h"

struct inject;

/*
 * Stop all threads of the target, call fn, and let them go on.
 * @fn: called by a thread of our own, which has all signals blocked; returns 0 or a negative errno, logged
 * -EBUSY: it is traced already, or a thread does not stop; -EPERM: not permitted, or its seccomp filters can't be
 * suspended; -EOPNOTSUPP: no system call can be run safely in it; -ESRCH; each is logged, and nothing was changed.
 */
int inject_run(struct uffdctl_target *t, int (*fn)(struct inject *in, void *arg), void *arg);

/* The same checks as far as nothing needs to be stopped for them. */
int inject_check(struct uffdctl_target *t);

/*
 * Have the target make a system call; only within fn.
 * @ret: out, what it returned: a negative errno where it failed
 * -errno: it was not made, or it is not known whether it was; logged
 */
int inject_call(struct inject *in, long nr, const uint64_t args[6], int64_t *ret);

#endif
