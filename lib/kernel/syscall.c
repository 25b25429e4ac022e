// SPDX-License-Identifier: LGPL-2.1-or-later
/* /proc/PID/task/TID/syscall: the system call that a thread is in. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <asm/unistd.h>

#include "lib/kernel/syscall.h"
#include "lib/util.h"

/* Made by the Makefile from the kernel's header. */
static const char *const names[] = {
#include "syscalls.h"
};

/* Those that wait, and whose first argument is a descriptor. */
static const char *const with_fd[] = {
	"accept",	"accept4",    "close",	    "connect",	      "copy_file_range", "epoll_pwait",
	"epoll_pwait2", "epoll_wait", "fallocate",  "fcntl",	      "fdatasync",	 "flock",
	"fsync",	"ftruncate",  "getdents64", "io_uring_enter", "ioctl",		 "mq_timedreceive",
	"mq_timedsend", "pread64",    "preadv",	    "preadv2",	      "pwrite64",	 "pwritev",
	"pwritev2",	"read",	      "readv",	    "recvfrom",	      "recvmmsg",	 "recvmsg",
	"sendfile",	"sendmmsg",   "sendmsg",    "sendto",	      "splice",		 "sync_file_range",
	"syncfs",	"tee",	      "vmsplice",   "write",	      "writev",
};

int syscall_parse(const char *text, struct syscall_now *ret)
{
	uint64_t args[6], sp, pc;
	int64_t nr;

	*ret = (struct syscall_now){ .nr = NO_SYSCALL };
	if (!strcmp(text, "running\n"))
		return 0;
	/* "-1 SP PC": it waits, but in no system call. */
	if (sscanf(text,
		   "%" SCNd64 " 0x%" SCNx64 " 0x%" SCNx64 " 0x%" SCNx64 " 0x%" SCNx64 " 0x%" SCNx64 " 0x%" SCNx64
		   " 0x%" SCNx64 " 0x%" SCNx64,
		   &nr, &args[0], &args[1], &args[2], &args[3], &args[4], &args[5], &sp, &pc) == 9 &&
	    nr >= 0) {
		/* No 64-bit program has its stack there. */
		*ret = (struct syscall_now){ .nr = nr,
					     .arg = args[0],
					     .is_compat = sp <= UINT32_MAX && pc <= UINT32_MAX };
		return 0;
	}
	return sscanf(text, "%" SCNd64 " 0x%" SCNx64 " 0x%" SCNx64, &nr, &sp, &pc) == 3 && nr < 0 ? 0 : -EINVAL;
}

const char *syscall_name(const struct syscall_now *s)
{
	return s->nr >= 0 && s->nr < (int64_t)ARRAY_SIZE(names) && !s->is_compat ? names[s->nr] : NULL;
}

int syscall_fd(const struct syscall_now *s)
{
	const char *name = syscall_name(s);

	for (size_t i = 0; name && i < ARRAY_SIZE(with_fd); i++)
		if (!strcmp(name, with_fd[i]))
			return s->arg <= INT32_MAX ? (int)s->arg : -1;
	return -1;
}
