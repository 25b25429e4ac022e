// SPDX-License-Identifier: LGPL-2.1-or-later
/* Does a system call reach the kernel's own code, or does a seccomp filter answer? See reach.h. */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/kernel/reach.h"

#define NR_CACHESTAT 451

/* Each with what the kernel returns for these arguments, before it looks at anything else. */
static const struct {
	const char *name;
	long nr;
	long args[6];
	int expected;
} calls[REACH_NR_CALLS] = {
	/* All flags: among them is UFFD_USER_MODE_ONLY, which needs no privilege. */
	[REACH_USERFAULTFD] = { "userfaultfd(2)", SYS_userfaultfd, { -1 }, EINVAL },
	/* A size of more than a page. */
	[REACH_BPF] = { "bpf(2)", SYS_bpf, { 0, 0, 1 << 20 }, E2BIG },
	[REACH_PIDFD_OPEN] = { "pidfd_open(2)", SYS_pidfd_open, { 0, -1 }, EINVAL },
	[REACH_PIDFD_GETFD] = { "pidfd_getfd(2)", SYS_pidfd_getfd, { -1, -1, -1 }, EINVAL },
	/* No process has the PID 0. */
	[REACH_PTRACE] = { "ptrace(2)", SYS_ptrace, { -1, 0 }, ESRCH },
	[REACH_PROCESS_VM_READV] = { "process_vm_readv(2)", SYS_process_vm_readv, { 0, 0, 0, 0, 0, -1 }, EINVAL },
	[REACH_KCMP] = { "kcmp(2)", SYS_kcmp, { 0, 0, 0, 0, 0 }, ESRCH },
	[REACH_CACHESTAT] = { "cachestat(2)", NR_CACHESTAT, { -1 }, EBADF },
	[REACH_MEMFD_CREATE] = { "memfd_create(2)", SYS_memfd_create, { 0, -1 }, EINVAL },
	[REACH_PERF_EVENT_OPEN] = { "perf_event_open(2)", SYS_perf_event_open, { 0, 0, -1, -1, -1 }, EINVAL },
};

const char *reach_name(enum reach_call call)
{
	return calls[call].name;
}

static int answer(enum reach_call call)
{
	const long *a = calls[call].args;

	return syscall(calls[call].nr, a[0], a[1], a[2], a[3], a[4], a[5]) < 0 && errno != calls[call].expected ? errno
														: 0;
}

int reach_try(enum reach_call call)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(answer(call));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFSIGNALED(status) ? REACH_KILLED : -WEXITSTATUS(status);
}
