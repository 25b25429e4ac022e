// SPDX-License-Identifier: LGPL-2.1-or-later
/* pidfd_open(2), pidfd_getfd(2), pidfd_send_signal(2). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/proc.h"

/* Linux 6.9: of a thread, not of its process. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

int pidfd_open_process(pid_t pid, int *ret)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

bool pidfd_exited(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

int pidfd_kill(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

static int take_fd(int pidfd, int fd, int *ret)
{
	int taken = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	if (taken < 0)
		return -errno;
	*ret = taken;
	return 0;
}

struct thread_walk {
	pid_t pid;
	int fd, err;
	int *ret;
};

/* The ID may have been reused before pidfd_open(2); afterwards the pidfd stays with its thread. */
static bool is_thread_of(pid_t pid, pid_t tid, int thread)
{
	_cleanup_close_ int procfd = -1;

	return proc_open_dir(tid, &procfd) == 0 && proc_tgid(procfd) == pid && !pidfd_exited(thread);
}

/* Threads may have file tables of their own: try the next thread. */
static int take_from_thread(uint32_t tid, void *arg)
{
	struct thread_walk *w = arg;
	_cleanup_close_ int thread = syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
	int r = thread < 0 ? -errno : 0;

	if (r == -EINVAL)
		return w->err = -EOPNOTSUPP;
	if (r < 0 || !is_thread_of(w->pid, tid, thread))
		return 0;
	r = take_fd(thread, w->fd, w->ret);
	if (r < 0 && r != -ESRCH)
		w->err = r;
	return r == 0;
}

int pidfd_take_fd(pid_t pid, int pidfd, int fd, int *ret)
{
	struct thread_walk w = { .pid = pid, .fd = fd, .err = -ESRCH, .ret = ret };
	_cleanup_close_ int procfd = -1;
	int r = take_fd(pidfd, fd, ret);

	/* ESRCH: its first thread has no table; before Linux 6.8 that was EBADF. */
	if ((r != -ESRCH && r != -EBADF) || pidfd_exited(pidfd) || proc_open_dir(pid, &procfd) < 0 ||
	    proc_lives(procfd))
		return r;
	r = proc_each_number(procfd, "task", take_from_thread, &w);
	if (pidfd_exited(pidfd)) {
		if (r == 1)
			close(*ret);
		return -ESRCH;
	}
	return r == 1 ? 0 : w.err;
}
