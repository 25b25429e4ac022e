// SPDX-License-Identifier: LGPL-2.1-or-later
/* Record locks (fcntl(2), F_SETLK), a byte each. */
#include <errno.h>
#include <fcntl.h>

#include "lib/kernel/record_lock.h"

static struct flock lock_of(short type, off_t byte)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
}

int record_lock_set(int fd, off_t byte)
{
	struct flock l = lock_of(F_RDLCK, byte);

	return fcntl(fd, F_SETLK, &l) < 0 ? -errno : 0;
}

void record_lock_unset(int fd, off_t byte)
{
	struct flock l = lock_of(F_UNLCK, byte);

	fcntl(fd, F_SETLK, &l);
}

int record_lock_find(int fd, off_t byte, pid_t *ret_pid)
{
	struct flock l = lock_of(F_WRLCK, byte);

	if (fcntl(fd, F_GETLK, &l) < 0)
		return -errno;
	*ret_pid = l.l_type == F_UNLCK ? 0 : l.l_pid;
	return l.l_type != F_UNLCK;
}
