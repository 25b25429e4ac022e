/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pidfd_open(2), pidfd_getfd(2), pidfd_send_signal(2). */
#ifndef UFFDCTL_PIDFD_H
#define UFFDCTL_PIDFD_H

#include <stdbool.h>
#include <sys/types.h>

int pidfd_open_process(pid_t pid, int *ret);
bool pidfd_exited(int pidfd);
int pidfd_kill(int pidfd, int sig);

/*
 * A duplicate of a process's descriptor, from its first thread's table, or, if that thread has ended, from the table
 * of a living thread. -EOPNOTSUPP: this needs Linux 6.9.
 */
int pidfd_take_fd(pid_t pid, int pidfd, int fd, int *ret);

#endif
