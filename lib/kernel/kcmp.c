// SPDX-License-Identifier: LGPL-2.1-or-later
/* kcmp(2): do two processes share a thing? */
#include <errno.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/kernel/kcmp.h"

int kcmp_same_file(pid_t pid1, int fd1, pid_t pid2, int fd2)
{
	long r = syscall(SYS_kcmp, pid1, pid2, KCMP_FILE, fd1, fd2);

	return r < 0 ? -errno : r == 0;
}

bool kcmp_same_memory(pid_t pid1, pid_t pid2)
{
	return syscall(SYS_kcmp, pid1, pid2, KCMP_VM, 0, 0) == 0;
}
