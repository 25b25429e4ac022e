/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where in a target system calls can be run: the instructions, and a stack with room for the way back. */
#ifndef UFFDCTL_INJECT_PLACE_H
#define UFFDCTL_INJECT_PLACE_H

#include "lib/kernel/ptrace_regs.h"
#include "lib/kernel/target.h"

/*
 * Find instructions in the text of the target's files and the vdso, which does not change, as far as it is mapped.
 * @mem: /proc/PID/mem
 * -ENOENT: there are none.
 */
int place_find_gadgets(struct uffdctl_target *t, int mem, struct gadgets *ret);
/* Are they still there? */
bool place_has_gadgets(int mem, const struct gadgets *g);

/*
 * Is the memory below a stack pointer part of a stack down to an address, so that what lies there may be overwritten?
 * A stack is what the kernel calls one, or ends at a guard below. A small one that is part of a heap, as language
 * runtimes have them, has other data below it.
 */
bool place_is_stack(struct uffdctl_target *t, uint64_t from, uint64_t sp);

/* Is the thread inside of a restartable sequence (rseq(2)), which the kernel would have to abort? */
bool place_in_rseq(int mem, pid_t tid, uint64_t ip);

#endif
