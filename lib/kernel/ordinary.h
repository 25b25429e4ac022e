/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Access to other processes, tried on a child of our own that is made to be like an ordinary process: without
 * capabilities, and dumpable.
 */
#ifndef UFFDCTL_ORDINARY_H
#define UFFDCTL_ORDINARY_H

#include <sys/types.h>

enum ordinary_relation {
	ORDINARY_DESCENDANT, /* of the process that wants the access */
	ORDINARY_UNRELATED,  /* of the same user, and no descendant */
	ORDINARY_OTHER_USER, /* of another user, and no descendant */
	ORDINARY_NR_RELATIONS,
};

/* The result of each access: 0 or a negative errno. */
struct ordinary_access {
	int maps;	/* /proc/PID/maps: PTRACE_MODE_READ */
	int fds;	/* /proc/PID/fd */
	int pagemap;	/* /proc/PID/pagemap: opened, and a page that is mapped is seen there */
	int scan;	/* PAGEMAP_SCAN on it */
	int getfd;	/* pidfd_getfd(2): PTRACE_MODE_ATTACH */
	int attach;	/* ptrace(2): PTRACE_SEIZE, and off again */
	int process_vm; /* process_vm_readv(2) */
	int kcmp;	/* kcmp(2) of it with us */
};

/*
 * @avoid: calls that must not be made, since they would kill us: bits 1 << enum reach_call
 * -EPERM: such a process can't be made (ORDINARY_OTHER_USER needs CAP_SETUID); other errnos of fork(2) and pipe(2).
 */
int ordinary_try(enum ordinary_relation relation, unsigned int avoid, struct ordinary_access *ret);

#endif
