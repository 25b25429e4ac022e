/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kcmp(2): do two processes share a thing? */
#ifndef UFFDCTL_KCMP_H
#define UFFDCTL_KCMP_H

#include <stdbool.h>
#include <sys/types.h>

/* Do two descriptors refer to the same open file? 1, 0, or -EPERM and other errnos. */
int kcmp_same_file(pid_t pid1, int fd1, pid_t pid2, int fd2);

/* Do they share their memory, as after CLONE_VM? False also if this is not known. */
bool kcmp_same_memory(pid_t pid1, pid_t pid2);

#endif
