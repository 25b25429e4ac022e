/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registers of a stopped thread: changed for a system call, with a way back to what they were. What differs between
 * processors is behind this: one file for each, and ptrace_none.c for those that have none.
 */
#ifndef UFFDCTL_PTRACE_REGS_H
#define UFFDCTL_PTRACE_REGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Can it be done on this processor? */
bool regs_supported(void);

struct regs {
	uint64_t words[40];
	size_t len; /* bytes */
};

int regs_get(pid_t tid, struct regs *ret);
int regs_set(pid_t tid, const struct regs *regs);
uint64_t regs_ip(const struct regs *regs);
uint64_t regs_sp(const struct regs *regs);

/* Why no system call can be run in this thread, ever; NULL: it can. */
const char *regs_objection(pid_t tid, const struct regs *regs);

/* The system call in which it was interrupted, which the kernel may restart; -1: none. */
int64_t regs_syscall(const struct regs *regs);
uint64_t regs_arg(const struct regs *regs, unsigned int i);
int64_t regs_result(const struct regs *regs);
/* The call has returned -EINTR: let the kernel restart it unless a signal handler is called. */
void regs_restart(struct regs *regs);

/* Instructions of the target that are used as they are; 0: not found. */
struct gadgets {
	uint64_t call;	  /* a system call, then a return */
	uint64_t restore; /* makes rt_sigreturn(2), as each C library has it for signal handlers */
	uint64_t load;	  /* in its place: loads the number of a system call from the stack, then a return */
};

/* Look for those that are not found yet in a piece of text; true: nothing more needs to be found. */
bool gadgets_find(struct gadgets *g, const void *text, size_t len, uint64_t addr);
bool gadgets_suffice(const struct gadgets *g);
/* Is it this one? @text: GADGET_BYTES bytes */
#define GADGET_BYTES 9
bool gadget_is_call(const void *text);
bool gadget_is_restore(const void *text);
bool gadget_is_load(const void *text);
/* Any instruction that makes a system call, whatever follows it; 0: none. */
uint64_t regs_find_call(const void *text, size_t len, uint64_t addr);
/* Where a thread is when it has made a system call by them. */
uint64_t regs_call_ip(const struct gadgets *g);
/* Calls that are interrupted, on processors whose kernel hides them from us: why, ptrace_arm64.c tells. */
#ifdef __aarch64__
/* Is it at a system call, which is new or is restarted? @text: GADGET_BYTES bytes at its instruction pointer */
bool regs_hide_call(const struct regs *regs, const void *text);
/* At its beginning: will it have an end? */
bool regs_enter_call(const struct regs *regs);
/* At its end. @before: as they were before it was entered */
void regs_leave_call(const struct regs *before, struct regs *regs);
/* Are they to be put back at the end of a call that has the same first argument? */
bool regs_are_restarted(const struct regs *regs);
#else
#define regs_hide_call(regs, text) ((void)(text), false)
#define regs_enter_call(regs) true
#define regs_leave_call(before, regs) ((void)(before))
#define regs_are_restarted(regs) false
#endif

/*
 * What lies below the stack of a thread while its registers are changed. After each system call that it is made to run,
 * it comes to this, unless we stop it, and goes on where it was: by rt_sigreturn(2), with all registers.
 */
struct way_back {
	uint64_t addr; /* where it belongs */
	void *bytes;   /* free with free() */
	size_t len;
};

/*
 * @mask: the blocked signals that it had
 * -ENOTSUP: its registers can't be saved on this processor; -EBUSY: at this moment; -ENOMEM.
 */
int way_back_make(pid_t tid, const struct regs *regs, uint64_t mask, const struct gadgets *g, struct way_back *ret);

/* Registers that go the way back at once, and those that make a system call first. */
void regs_go_back(const struct regs *old, const struct gadgets *g, const struct way_back *back, struct regs *ret);
void regs_call(const struct regs *old, const struct gadgets *g, const struct way_back *back, long nr,
	       const uint64_t args[6], struct regs *ret);

#endif
