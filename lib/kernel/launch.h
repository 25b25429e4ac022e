/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starts a program as a child of ours, held before its first instruction. Until it is let go, it dies with us, and all
 * calls come from the thread that has started it (ptrace.h).
 */
#ifndef UFFDCTL_LAUNCH_H
#define UFFDCTL_LAUNCH_H

#include "lib/kernel/ptrace_regs.h"

struct launched {
	pid_t pid;
	bool held;
	bool ended;	  /* it has been waited for; status is its end */
	int status;	  /* as waitpid(2) has it */
	struct regs regs; /* with which it begins */
	uint64_t call;	  /* an instruction of it that makes a system call */
};

/*
 * @argv: ended by NULL; argv[0] is looked for in PATH. Signals that are ignored stay ignored, SIGPIPE and SIGXFSZ aside.
 * @step: out, what has failed; NULL: execve(2)
 * -EOPNOTSUPP: no 64-bit program of this processor, or without a vDSO. After a failure there is no child.
 */
int launch(char *const argv[], struct launched *ret, const char **step);
/* Have it make a system call while it is held; the same as inject_call(). */
int launch_call(struct launched *l, long nr, const uint64_t args[6], int64_t *ret);
int launch_let_go(struct launched *l);
/* Wait for its end; it stays a zombie, so that its PID is not used again, until launch_bury(). */
int launch_wait(struct launched *l);
/* Kill it, unless it was let go. */
void launch_bury(struct launched *l);

#endif
