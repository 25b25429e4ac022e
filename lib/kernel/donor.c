// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A child process of ours that holds /dev/userfaultfd open for a target. It runs as the target does, and may be
 * inspected by it, and so by other processes of that user: it keeps no other descriptor, and none of our data. After
 * clone(2) it calls nothing but syscall(2), which was called before: the dynamic linker, too, has lost its data.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/kernel/donor.h"
#include "lib/kernel/proc.h"
#include "lib/util.h"

/* What the child needs to know; on its stack. */
struct plan {
	struct uffdctl_range data[2048]; /* memory of ours, which it forgets */
	size_t nr_data;
	uint64_t caps;
	uid_t uid;
	gid_t gid;
	int pid_ns; /* to enter; -1: it is ours */
	int dev, say, stay;
};

/* ---- before ---- */

/* Our stack and the thread's own data are needed; the C library's data say nothing about targets. */
static int add_data(const struct maps_line *l, void *arg)
{
	struct plan *p = arg;
	uint64_t stack = (uint64_t)(uintptr_t)&l, tls = (uint64_t)(uintptr_t)&errno;
	bool needed = (l->range.start <= stack && stack < l->range.end) ||
		      (l->range.start <= tls && tls < l->range.end);

	if (strcmp(l->perms, "rw-p") || l->inode || needed)
		return 0;
	if (p->nr_data == ARRAY_SIZE(p->data))
		return -E2BIG;
	p->data[p->nr_data++] = l->range;
	return 0;
}

static int same_ns(struct uffdctl_target *t, const char *name)
{
	char ours[64], theirs[64];
	struct stat a, b;

	snprintf(ours, sizeof(ours), "/proc/self/ns/%s", name);
	snprintf(theirs, sizeof(theirs), "ns/%s", name);
	if (stat(ours, &a) || fstatat(t->procfd, theirs, &b, 0))
		return -errno;
	return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int read_status(struct uffdctl_target *t, struct plan *p)
{
	char status[8192];
	const char *uid, *gid, *caps;
	int r = proc_read(t->procfd, "status", status, sizeof(status));

	if (r < 0)
		return r;
	uid = strstr(status, "\nUid:");
	gid = strstr(status, "\nGid:");
	caps = strstr(status, "\nCapPrm:");
	if (!uid || !gid || !caps)
		return -EPROTO;
	p->uid = (uid_t)strtoul(uid + strlen("\nUid:"), NULL, 10);
	p->gid = (gid_t)strtoul(gid + strlen("\nGid:"), NULL, 10);
	p->caps = strtoull(caps + strlen("\nCapPrm:"), NULL, 16);
	return 0;
}

static int make_plan(struct uffdctl_target *t, struct plan *p)
{
	int r = same_ns(t, "user");

	if (r <= 0)
		return r < 0 ? r : -EXDEV;
	r = same_ns(t, "pid");
	if (r == 0)
		p->pid_ns = openat(t->procfd, "ns/pid", O_RDONLY | O_CLOEXEC);
	if (r < 0 || (r == 0 && p->pid_ns < 0))
		return r < 0 ? r : -errno;
	return read_status(t, p);
}

/* ---- the child ---- */

/* It may have no capability that the target lacks. */
static int become_like(const struct plan *p)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

	if (syscall(SYS_setgroups, 0, NULL) < 0 && errno != EPERM)
		return errno;
	if (syscall(SYS_setresgid, p->gid, p->gid, p->gid) < 0 || syscall(SYS_setresuid, p->uid, p->uid, p->uid) < 0 ||
	    syscall(SYS_capget, &header, data) < 0)
		return errno;
	for (size_t i = 0; i < ARRAY_SIZE(data); i++) {
		data[i].permitted &= (uint32_t)(p->caps >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) < 0 ? errno : 0;
}

static void close_others(const struct plan *p)
{
	int keep[] = { p->dev, p->say, p->stay };
	unsigned int from = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
		for (size_t k = i + 1; k < ARRAY_SIZE(keep); k++)
			if (keep[k] < keep[i]) {
				int swap = keep[i];

				keep[i] = keep[k];
				keep[k] = swap;
			}
	for (size_t i = 0; i < ARRAY_SIZE(keep); i++) {
		if ((unsigned int)keep[i] > from)
			syscall(SYS_close_range, from, (unsigned int)keep[i] - 1, 0);
		from = (unsigned int)keep[i] + 1;
	}
	syscall(SYS_close_range, from, ~0u, 0);
}

struct said {
	int err;
	pid_t pid;
};

static __attribute__((noreturn)) void serve(const struct plan *p)
{
	struct said said = {};
	char c;

	for (size_t i = 0; i < p->nr_data; i++)
		syscall(SYS_madvise, p->data[i].start, p->data[i].end - p->data[i].start, MADV_DONTNEED);
	close_others(p);
	said.err = become_like(p);
	if (!said.err && (syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0) < 0))
		said.err = errno;
	/* EINVAL: there is no Yama. */
	syscall(SYS_prctl, PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	said.pid = (pid_t)syscall(SYS_getpid);
	if (syscall(SYS_write, p->say, &said, sizeof(said)) == sizeof(said) && !said.err)
		while (syscall(SYS_read, p->stay, &c, 1) < 0 && errno == EINTR)
			;
	syscall(SYS_exit_group, 0);
	__builtin_unreachable();
}

/* In another PID namespace, it is a child of the child: a process does not change its own. */
static __attribute__((noreturn)) void run_child(const struct plan *p)
{
	struct said said = {};
	pid_t pid;

	if (p->pid_ns < 0)
		serve(p);
	if (syscall(SYS_setns, p->pid_ns, CLONE_NEWPID) < 0)
		said.err = errno;
	close_others(p);
	pid = said.err ? -1 : (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (pid == 0)
		serve(p);
	if (pid < 0) {
		said.err = said.err ?: errno;
		syscall(SYS_write, p->say, &said, sizeof(said));
	} else {
		syscall(SYS_wait4, pid, NULL, __WALL, NULL);
	}
	syscall(SYS_exit_group, 0);
	__builtin_unreachable();
}

/* ---- outside ---- */

static void close_pair(int (*fds)[2])
{
	cleanup_close(&(*fds)[0]);
	cleanup_close(&(*fds)[1]);
}

static int start(struct plan *p, struct donor *ret)
{
	int say[2] _cleanup_(close_pair) = { -1, -1 }, stay[2] _cleanup_(close_pair) = { -1, -1 };
	struct said said = {};
	pid_t child;
	ssize_t n;

	if (pipe2(say, O_CLOEXEC) || pipe2(stay, O_CLOEXEC))
		return -errno;
	p->say = say[1];
	p->stay = stay[0];
	/* Not fork(3), which would run what others have left to be done then. Without SIGCHLD: our caller may count his. */
	child = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (child == 0)
		run_child(p);
	if (child < 0)
		return -errno;
	cleanup_close(&say[1]);
	say[1] = -1;
	*ret = (struct donor){ .child = child, .fd = p->dev, .stay = steal_fd(stay[1]) };
	do
		n = read(say[0], &said, sizeof(said));
	while (n < 0 && errno == EINTR);
	ret->pid = said.pid;
	return n != sizeof(said) ? -EPROTO : -said.err;
}

int donor_start(struct uffdctl_target *t, struct donor *ret)
{
	_cleanup_close_ int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	struct plan p = { .pid_ns = -1, .dev = dev };
	int r = dev < 0 ? -errno : make_plan(t, &p);

	*ret = (struct donor){ .stay = -1 };
	if (r >= 0) {
		int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

		r = proc_each_mapping(maps < 0 ? -errno : maps, add_data, &p);
	}
	if (r >= 0)
		r = start(&p, ret);
	cleanup_close(&p.pid_ns);
	if (r < 0)
		donor_end(ret);
	return r;
}

void donor_end(struct donor *d)
{
	if (!d->child)
		return;
	cleanup_close(&d->stay);
	d->stay = -1;
	while (waitpid(d->child, NULL, __WALL) < 0 && errno == EINTR)
		;
	d->child = 0;
}
