// SPDX-License-Identifier: LGPL-2.1-or-later
/* What may forbid a process something: its user, capabilities, namespace, seccomp mode, and the machine's settings. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/kernel/confine.h"
#include "lib/kernel/proc.h"
#include "lib/util.h"

/* include/uapi/linux/capability.h, by number. */
static const char *const cap_names[] = {
	"chown",
	"dac_override",
	"dac_read_search",
	"fowner",
	"fsetid",
	"kill",
	"setgid",
	"setuid",
	"setpcap",
	"linux_immutable",
	"net_bind_service",
	"net_broadcast",
	"net_admin",
	"net_raw",
	"ipc_lock",
	"ipc_owner",
	"sys_module",
	"sys_rawio",
	"sys_chroot",
	"sys_ptrace",
	"sys_pacct",
	"sys_admin",
	"sys_boot",
	"sys_nice",
	"sys_resource",
	"sys_time",
	"sys_tty_config",
	"mknod",
	"lease",
	"audit_write",
	"audit_control",
	"setfcap",
	"mac_override",
	"mac_admin",
	"syslog",
	"wake_alarm",
	"block_suspend",
	"audit_read",
	"perfmon",
	"bpf",
	"checkpoint_restore",
};

_Static_assert(ARRAY_SIZE(cap_names) == CAP_CHECKPOINT_RESTORE + 1, "a name for each capability");

const char *cap_name(unsigned int cap)
{
	return cap < ARRAY_SIZE(cap_names) ? cap_names[cap] : NULL;
}

/* The number behind "Key:" in status; -1: there is none. */
static int64_t status_number(const char *status, const char *key, int base)
{
	const char *at = strstr(status, key);

	return at ? (int64_t)strtoull(at + strlen(key), NULL, base) : -1;
}

/* PROC_USER_INIT_INO, include/linux/proc_ns.h */
#define INITIAL_USER_NS "user:[4026531837]"

static int in_other_user_ns(int procfd)
{
	char ns[64] = "";

	if (readlinkat(procfd, "ns/user", ns, sizeof(ns) - 1) < 0)
		return -1;
	return strcmp(ns, INITIAL_USER_NS) != 0;
}

void confine_process(int procfd, struct confinement *ret)
{
	char status[8192];
	const char *uid;

	*ret = (struct confinement){ .seccomp = -1, .filters = -1, .no_new_privs = -1, .other_user_ns = -1 };
	if (proc_read(procfd, "status", status, sizeof(status)) < 0)
		return;
	uid = strstr(status, "\nUid:");
	ret->known = uid && sscanf(uid, "\nUid: %*u %u", &ret->uid) == 1;
	ret->caps = (uint64_t)status_number(status, "\nCapEff:", 16);
	ret->seccomp = (int)status_number(status, "\nSeccomp:", 10);
	ret->filters = (int)status_number(status, "\nSeccomp_filters:", 10);
	ret->no_new_privs = (int)status_number(status, "\nNoNewPrivs:", 10);
	ret->other_user_ns = in_other_user_ns(procfd);
	if (proc_read(procfd, "attr/current", ret->label, sizeof(ret->label)) < 0)
		ret->label[0] = '\0';
	ret->label[strcspn(ret->label, "\n")] = '\0';
}

bool confine_has_cap(const struct confinement *c, unsigned int cap)
{
	return c->known && c->caps >> cap & 1 && c->other_user_ns != 1;
}

static int read_setting(const char *path)
{
	char buf[16];

	return proc_read(AT_FDCWD, path, buf, sizeof(buf)) < 0 ? -1 : atoi(buf);
}

/* "none [integrity] confidentiality" */
static void read_lockdown(struct settings *s)
{
	char buf[128], *from, *to;

	s->lockdown_known = proc_read(AT_FDCWD, "/sys/kernel/security/lockdown", buf, sizeof(buf)) >= 0;
	from = s->lockdown_known ? strchr(buf, '[') : NULL;
	to = from ? strchr(from, ']') : NULL;
	if (to)
		snprintf(s->lockdown, sizeof(s->lockdown), "%.*s", (int)(to - from - 1), from + 1);
}

void settings_read(struct settings *ret)
{
	*ret = (struct settings){
		.yama = read_setting("/proc/sys/kernel/yama/ptrace_scope"),
		.unprivileged_userfaultfd = read_setting("/proc/sys/vm/unprivileged_userfaultfd"),
		.unprivileged_bpf_disabled = read_setting("/proc/sys/kernel/unprivileged_bpf_disabled"),
		.selinux = read_setting("/sys/fs/selinux/enforce"),
	};
	read_lockdown(ret);
	ret->lsms_known = proc_read(AT_FDCWD, "/sys/kernel/security/lsm", ret->lsms, sizeof(ret->lsms)) >= 0;
	ret->lsms[strcspn(ret->lsms, "\n")] = '\0';
}
