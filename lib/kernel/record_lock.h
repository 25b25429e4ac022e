/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Record locks (fcntl(2), F_SETLK), one byte each: read locks, since a userfaultfd is open only for reading. */
#ifndef UFFDCTL_RECORD_LOCK_H
#define UFFDCTL_RECORD_LOCK_H

#include <sys/types.h>

/* 0, or a negative errno. Read locks of several processes do not exclude each other. */
int record_lock_set(int fd, off_t byte);
void record_lock_unset(int fd, off_t byte);

/*
 * Does another process have a lock on the byte? 1, with its PID (0 if it has none in our PID namespace); 0: no;
 * -errno.
 */
int record_lock_find(int fd, off_t byte, pid_t *ret_pid);

#endif
