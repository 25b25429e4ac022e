// SPDX-License-Identifier: LGPL-2.1-or-later
/* pidfd_open(2), pidfd_getfd(2), kcmp(2). */
#include <errno.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pidfd.h"

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

int pidfd_take_fd(int pidfd, int fd, int *ret)
{
	int taken = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	if (taken < 0)
		return -errno;
	*ret = taken;
	return 0;
}

int pidfd_same_file(pid_t pid1, int fd1, pid_t pid2, int fd2)
{
	long r = syscall(SYS_kcmp, pid1, pid2, KCMP_FILE, fd1, fd2);

	return r < 0 ? -errno : r == 0;
}
