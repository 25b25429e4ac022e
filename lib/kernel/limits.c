// SPDX-License-Identifier: LGPL-2.1-or-later
/* What limits this process: capabilities, filters, and settings of the machine. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/kernel/limits.h"
#include "lib/kernel/proc.h"

static bool read_text(const char *path, char *buf, size_t size)
{
	buf[0] = 0;
	return proc_read(AT_FDCWD, path, buf, size) >= 0;
}

static int read_number(const char *path)
{
	char buf[32];

	return read_text(path, buf, sizeof(buf)) ? atoi(buf) : -1;
}

/* The number behind "Key:" in a status file; false: not there. */
static bool status_number(const char *status, const char *key, int base, uint64_t *ret)
{
	const char *at = strstr(status, key);

	if (!at)
		return false;
	*ret = strtoull(at + strlen(key), NULL, base);
	return true;
}

static int seccomp_in(const char *status)
{
	uint64_t mode;

	return status_number(status, "\nSeccomp:", 10, &mode) ? (int)mode : -1;
}

int limits_seccomp_of(int procfd)
{
	char status[8192];

	return proc_read(procfd, "status", status, sizeof(status)) < 0 ? -1 : seccomp_in(status);
}

/* The initial user namespace maps all IDs to themselves. */
static bool in_init_userns(void)
{
	char map[256];
	unsigned long long inside, outside, nr;

	return read_text("/proc/self/uid_map", map, sizeof(map)) &&
	       sscanf(map, "%llu %llu %llu", &inside, &outside, &nr) == 3 && !inside && !outside && nr == UINT32_MAX;
}

void limits_read(struct limits *ret)
{
	char status[8192], text[128];

	*ret = (struct limits){ .seccomp = -1, .init_userns = in_init_userns() };
	if (read_text("/proc/self/status", status, sizeof(status))) {
		status_number(status, "\nCapEff:", 16, &ret->caps);
		ret->seccomp = seccomp_in(status);
	}
	ret->yama = read_number("/proc/sys/kernel/yama/ptrace_scope");
	ret->user_faults = read_number("/proc/sys/vm/unprivileged_userfaultfd");
	ret->bpf_disabled = read_number("/proc/sys/kernel/unprivileged_bpf_disabled");
	ret->lockdown = read_text("/sys/kernel/security/lockdown", text, sizeof(text)) &&
			strstr(text, "[confidentiality]");
	ret->selinux = read_number("/sys/fs/selinux/enforce") == 1;
	if (read_text("/sys/kernel/security/lsm", ret->lsms, sizeof(ret->lsms)))
		ret->lsms[strcspn(ret->lsms, "\n")] = 0;
}

bool limits_have(const struct limits *l, int cap)
{
	return l->init_userns && l->caps >> cap & 1;
}

bool limits_pidfd_is_filtered(int *ret_err)
{
	int r = syscall(SYS_pidfd_getfd, -1, 0, 0);

	*ret_err = r < 0 ? -errno : 0;
	return r >= 0 || errno != EBADF;
}
