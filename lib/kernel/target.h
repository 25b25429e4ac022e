/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process, identified by its pidfd, and its memory by an open /proc/PID/maps. */
#ifndef UFFDCTL_TARGET_H
#define UFFDCTL_TARGET_H

#include "lib/context.h"

/* To read about a process; its own user may always do that if it is dumpable. */
#define TEXT_PTRACE                                                                                                      \
	"needs ptrace access: run as root or, for a dumpable process, as its user; or setcap cap_sys_ptrace+ep on this " \
	"program"

struct launched;

struct uffdctl_target {
	struct uffdctl *u;
	pid_t pid;
	pid_t tid; /* the thread whose files are used: the first one, or another one if that has ended */
	int pidfd;
	int procfd;	       /* /proc/TID */
	int mapsfd;	       /* pins the memory that existed when it was opened; reads as empty after execve(2) */
	char *comm;	       /* escaped */
	struct launched *held; /* a child that is held before its first instruction, or was; NULL: none of ours */
};

/*
 * Does the process still exist, with the same program? Call this after opening another file under procfd. -ESRCH if
 * not; logged.
 */
int target_check(struct uffdctl_target *t);

/* The same, but not logged. */
bool target_is_gone(struct uffdctl_target *t);

/* openat(2) under /proc/PID, followed by target_check(); -ESRCH is logged. */
int target_open_file(struct uffdctl_target *t, const char *path, int flags, int *ret);

/* Why a descriptor may not be taken from a process about which we may read; with the remedy. */
const char *target_why_not_taken(void);

#endif
