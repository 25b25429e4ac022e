/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pidfd_open(2), pidfd_getfd(2), kcmp(2). */
#ifndef UFFDCTL_PIDFD_H
#define UFFDCTL_PIDFD_H

#include <stdbool.h>
#include <sys/types.h>

int pidfd_open_process(pid_t pid, int *ret);
bool pidfd_exited(int pidfd);

/*
 * A descriptor of a process, from its first thread's table, or, where that thread has ended, from the one
 * of a thread that lives. -EOPNOTSUPP: that needs Linux 6.9.
 */
int pidfd_take_fd(pid_t pid, int pidfd, int fd, int *ret);

/* Do two descriptors stand for the same open file? 1, 0, or -EPERM and other errnos. */
int pidfd_same_file(pid_t pid1, int fd1, pid_t pid2, int fd2);

#endif
