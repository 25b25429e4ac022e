// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Access to other processes, tried on a child of our own. Between fork(2) and _exit(2), the children call only what is
 * safe in a process of several threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/kernel/ordinary.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/reach.h"

#define OTHER_USER 65534

/* ---- the process to try it on ---- */

static int drop_caps(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

	return syscall(SYS_capset, &header, none) < 0 ? errno : 0;
}

/* glibc's functions would change the other threads, too, which a child does not have. */
static int change_user(void)
{
	if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, OTHER_USER, OTHER_USER, OTHER_USER) < 0 ||
	    syscall(SYS_setresuid, OTHER_USER, OTHER_USER, OTHER_USER) < 0)
		return errno;
	return 0;
}

/* Says on the pipe what it has become, and stays until the other end of the other pipe is closed. */
static void be_ordinary(enum ordinary_relation relation, int say, int stay)
{
	unsigned char err = relation == ORDINARY_OTHER_USER ? change_user() : 0;
	char c;

	if (!err)
		err = drop_caps();
	if (!err && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		err = errno;
	if (write(say, &err, 1) == 1 && !err)
		while (read(stay, &c, 1) < 0 && errno == EINTR)
			;
	_exit(0);
}

/* ---- the access ---- */

static int try_open(pid_t pid, const char *file, int flags)
{
	_cleanup_close_ int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, flags | O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

/* Their stacks are at the same place, and this page of it is mapped in both. */
static void try_pagemap(pid_t pid, struct ordinary_access *a)
{
	_cleanup_close_ int fd = -1;
	uint8_t state = OWN_ABSENT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	a->pagemap = fd < 0 ? -errno : pagemap_read_own(fd, path, 1, &state);
	if (a->pagemap == 0 && state == OWN_ABSENT)
		a->pagemap = -EIO;
	a->scan = fd < 0 ? a->pagemap : pagemap_try_scan(fd, path);
}

static int try_getfd(pid_t pid)
{
	_cleanup_close_ int pidfd = syscall(SYS_pidfd_open, pid, 0);
	_cleanup_close_ int fd = -1;

	if (pidfd < 0)
		return -errno;
	fd = syscall(SYS_pidfd_getfd, pidfd, STDIN_FILENO, 0);
	/* EBADF comes after the check of the permission. */
	return fd < 0 && errno != EBADF ? -errno : 0;
}

/* PTRACE_SEIZE does not stop it; to detach, it must be stopped, so its end releases it. */
static int try_attach(pid_t pid)
{
	return ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 ? -errno : 0;
}

static int try_process_vm(pid_t pid)
{
	static const char word = 'u';
	char c;
	struct iovec local = { &c, 1 }, remote = { (void *)&word, 1 };

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0 ? -errno : 0;
}

static int try_kcmp(pid_t pid)
{
	return syscall(SYS_kcmp, getpid(), pid, KCMP_VM, 0, 0) < 0 ? -errno : 0;
}

static void try_all(pid_t pid, unsigned int avoid, struct ordinary_access *a)
{
	a->maps = try_open(pid, "maps", 0);
	a->fds = try_open(pid, "fd", O_DIRECTORY);
	try_pagemap(pid, a);
	a->getfd = avoid & (1u << REACH_PIDFD_GETFD | 1u << REACH_PIDFD_OPEN) ? -EPERM : try_getfd(pid);
	a->process_vm = avoid & 1u << REACH_PROCESS_VM_READV ? -EPERM : try_process_vm(pid);
	a->kcmp = avoid & 1u << REACH_KCMP ? -EPERM : try_kcmp(pid);
	a->attach = avoid & 1u << REACH_PTRACE ? -EPERM : try_attach(pid);
}

/* ---- together ---- */

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* Not a descendant of whoever tries: a second child tries it on its sibling. */
static int try_from_sibling(pid_t pid, unsigned int avoid, struct ordinary_access *ret)
{
	struct ordinary_access a = {};
	int ends[2], r = 0;
	pid_t trier;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	trier = fork();
	if (!trier) {
		try_all(pid, avoid, &a);
		_exit(write(ends[1], &a, sizeof(a)) != sizeof(a));
	}
	close(ends[1]);
	if (trier < 0 || read(ends[0], ret, sizeof(*ret)) != sizeof(*ret))
		r = trier < 0 ? -EAGAIN : -EIO;
	close(ends[0]);
	if (trier > 0)
		wait_for(trier);
	return r;
}

static int try_on(pid_t pid, enum ordinary_relation relation, unsigned int avoid, struct ordinary_access *ret)
{
	if (relation != ORDINARY_DESCENDANT)
		return try_from_sibling(pid, avoid, ret);
	try_all(pid, avoid, ret);
	return 0;
}

int ordinary_try(enum ordinary_relation relation, unsigned int avoid, struct ordinary_access *ret)
{
	int said[2], stay[2], r;
	unsigned char err = 0;
	pid_t pid;

	if (pipe2(said, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(stay, O_CLOEXEC) < 0) {
		r = -errno;
		close(said[0]);
		close(said[1]);
		return r;
	}
	pid = fork();
	if (!pid) {
		close(stay[1]);
		be_ordinary(relation, said[1], stay[0]);
	}
	r = pid < 0 ? -errno : 0;
	close(said[1]);
	close(stay[0]);
	if (r == 0)
		r = read(said[0], &err, 1) != 1 ? -EIO : -(int)err;
	if (r == 0)
		r = try_on(pid, relation, avoid, ret);
	close(said[0]);
	close(stay[1]);
	if (pid > 0)
		wait_for(pid);
	return r;
}
