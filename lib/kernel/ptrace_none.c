// SPDX-License-Identifier: LGPL-2.1-or-later
/* The registers of a stopped thread, on processors for which nobody has written this yet. */
#if !defined(__x86_64__) && !defined(__aarch64__)
#include <errno.h>

#include "lib/kernel/ptrace_regs.h"

bool regs_supported(void)
{
	return false;
}

int regs_get(pid_t tid, struct regs *ret)
{
	(void)tid, (void)ret;
	return -EOPNOTSUPP;
}

int regs_set(pid_t tid, const struct regs *regs)
{
	(void)tid, (void)regs;
	return -EOPNOTSUPP;
}

uint64_t regs_ip(const struct regs *regs)
{
	(void)regs;
	return 0;
}

uint64_t regs_sp(const struct regs *regs)
{
	(void)regs;
	return 0;
}

const char *regs_objection(pid_t tid, const struct regs *regs)
{
	(void)tid, (void)regs;
	return "system calls can't be injected on this processor";
}

int64_t regs_syscall(const struct regs *regs)
{
	(void)regs;
	return -1;
}

uint64_t regs_arg(const struct regs *regs, unsigned int i)
{
	(void)regs, (void)i;
	return 0;
}

int64_t regs_result(const struct regs *regs)
{
	(void)regs;
	return -EOPNOTSUPP;
}

void regs_restart(struct regs *regs)
{
	(void)regs;
}

bool gadgets_find(struct gadgets *g, const void *text, size_t len, uint64_t addr)
{
	(void)g, (void)text, (void)len, (void)addr;
	return false;
}

bool gadgets_suffice(const struct gadgets *g)
{
	(void)g;
	return false;
}

bool gadget_is_call(const void *text)
{
	(void)text;
	return false;
}

bool gadget_is_restore(const void *text)
{
	(void)text;
	return false;
}

bool gadget_is_load(const void *text)
{
	(void)text;
	return false;
}

uint64_t regs_find_call(const void *text, size_t len, uint64_t addr)
{
	(void)text, (void)len, (void)addr;
	return 0;
}

uint64_t regs_call_ip(const struct gadgets *g)
{
	(void)g;
	return 0;
}

int way_back_make(pid_t tid, const struct regs *regs, uint64_t mask, const struct gadgets *g, struct way_back *ret)
{
	(void)tid, (void)regs, (void)mask, (void)g, (void)ret;
	return -ENOTSUP;
}

void regs_go_back(const struct regs *old, const struct gadgets *g, const struct way_back *back, struct regs *ret)
{
	(void)g, (void)back;
	*ret = *old;
}

void regs_call(const struct regs *old, const struct gadgets *g, const struct way_back *back, long nr,
	       const uint64_t args[6], struct regs *ret)
{
	(void)g, (void)back, (void)nr, (void)args;
	*ret = *old;
}
#endif
