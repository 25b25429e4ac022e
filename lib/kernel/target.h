/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process, identified once: by its pidfd, and its memory by an open /proc/PID/maps. */
#ifndef UFFDCTL_TARGET_H
#define UFFDCTL_TARGET_H

#include "lib/context.h"

struct uffdctl_target {
	struct uffdctl *u;
	pid_t pid;
	pid_t tid; /* whose files are used: the process's first thread, or, where that has ended, another */
	int pidfd;
	int procfd; /* /proc/TID */
	int mapsfd; /* pins the memory that was there when it was opened: at its end after execve(2) */
	char *comm; /* escaped */
};

/*
 * Is the process still there, with the program that was opened? Whoever opens another file
 * under procfd calls this afterwards. -ESRCH, logged, if not.
 */
int target_check(struct uffdctl_target *t);

/* The same without a word. */
bool target_is_gone(struct uffdctl_target *t);

/* openat(2) under /proc/PID, followed by target_check(). */
int target_open_file(struct uffdctl_target *t, const char *path, int flags, int *ret);

#endif
