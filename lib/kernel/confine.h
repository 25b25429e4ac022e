/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may forbid a process something: its user, capabilities, namespace, seccomp mode, and the machine's settings. */
#ifndef UFFDCTL_CONFINE_H
#define UFFDCTL_CONFINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Of one process. */
struct confinement {
	bool known;	   /* its status could be read */
	uid_t uid;	   /* effective */
	uint64_t caps;	   /* effective, by CAP_* */
	int seccomp;	   /* 0: none, 1: strict, 2: filters; -1: not known, or not in this kernel */
	int filters;	   /* their number; -1: not known */
	int no_new_privs;  /* 1: set; -1: not known */
	int other_user_ns; /* 1: its user namespace is not the initial one; 0: it is; -1: not known */
	char label[128];   /* of its LSM, such as a SELinux context or an AppArmor profile; "": none, or not known */
};

/* @procfd: /proc/PID */
void confine_process(int procfd, struct confinement *ret);
/* Has it the capability where it counts for the whole machine: effective, and in the initial user namespace? */
bool confine_has_cap(const struct confinement *c, unsigned int cap);
/* "cap_bpf"; NULL: no name is known. */
const char *cap_name(unsigned int cap);

/* Of the machine. A number is -1 if there is no such setting. */
struct settings {
	int yama;			 /* kernel.yama.ptrace_scope */
	int unprivileged_userfaultfd;	 /* vm.unprivileged_userfaultfd */
	int unprivileged_bpf_disabled;	 /* kernel.unprivileged_bpf_disabled */
	int selinux;			 /* 1: enforcing, 0: permissive */
	bool lockdown_known, lsms_known; /* securityfs is mounted */
	char lockdown[32];		 /* "none", "integrity", "confidentiality" */
	char lsms[128];			 /* "lockdown,capability,yama,apparmor" */
};

void settings_read(struct settings *ret);

#endif
