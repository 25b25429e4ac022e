/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What limits this process: capabilities, filters, and settings of the machine. */
#ifndef UFFDCTL_LIMITS_H
#define UFFDCTL_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct limits {
	uint64_t caps;	  /* effective capabilities, by bit */
	bool init_userns; /* they count for the whole machine; false: only for what our user namespace owns */
	int seccomp;	  /* as in /proc/PID/status: 0 none, 1 strict, 2 filter; -1: not known */
	int yama;	  /* kernel.yama.ptrace_scope; -1: no Yama */
	int user_faults;  /* vm.unprivileged_userfaultfd; -1: the kernel has no userfaultfd, or it is not known */
	int bpf_disabled; /* kernel.unprivileged_bpf_disabled; -1: not known */
	bool lockdown;	  /* confidentiality, which forbids reading kernel memory by BPF */
	bool selinux;	  /* enforcing */
	char lsms[128];	  /* /sys/kernel/security/lsm; "": not known */
};

void limits_read(struct limits *ret);

/* Does the capability (CAP_*) count for the whole machine? */
bool limits_have(const struct limits *l, int cap);

/* Seccomp of a process, as above. */
int limits_seccomp_of(int procfd);

/*
 * Do these system calls fail before the kernel looks at their arguments, which are invalid? A filter says no then.
 * *ret_err: its negative errno.
 */
bool limits_pidfd_is_filtered(int *ret_err);

#endif
