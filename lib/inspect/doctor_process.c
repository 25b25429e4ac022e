// SPDX-License-Identifier: LGPL-2.1-or-later
/* The doctor: access to other processes, and to the given one. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/inspect/doctor.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/target.h"

#define SETCAP "setcap cap_sys_ptrace+ep on this program, or run as root"

/*
 * Somebody else: a process of this user that is no descendant of ours, for which Yama would make an exception. It ends
 * when the pipe is closed.
 */
struct other {
	pid_t pid;
	int pipe; /* our end */
};

static void be_other(int keep, int give_up)
{
	char c;

	close(give_up);
	prctl(PR_SET_DUMPABLE, 1);
	while (read(keep, &c, 1) > 0)
		;
	_exit(0);
}

static int make_other(struct other *ret)
{
	int alive[2], told[2];
	pid_t child;

	*ret = (struct other){ -1, -1 };
	if (pipe2(alive, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(told, O_CLOEXEC) < 0) {
		close(alive[0]), close(alive[1]);
		return -ENFILE;
	}
	child = fork();
	if (child == 0) {
		pid_t other = fork();

		if (other == 0)
			be_other(alive[0], alive[1]);
		_exit(write(told[1], &other, sizeof(other)) != sizeof(other));
	}
	close(alive[0]), close(told[1]);
	ret->pipe = alive[1];
	if (child > 0)
		waitpid(child, NULL, 0);
	if (child < 0 || read(told[0], &ret->pid, sizeof(ret->pid)) != sizeof(ret->pid) || ret->pid < 0) {
		close(told[0]), close(alive[1]);
		return -EAGAIN;
	}
	close(told[0]);
	return 0;
}

static const char *why_no_descriptor(struct uffdctl_doctor *d, int err, const char **ret_remedy)
{
	const struct limits *l = &d->limits;
	int filter_err;

	if (limits_pidfd_is_filtered(&filter_err)) {
		if (filter_err == -ENOSYS && l->seccomp == 0)
			return "the kernel has no pidfd_getfd(2) (Linux 5.6)";
		return doctor_text(d, "a seccomp filter of this process forbids pidfd_getfd(2) (%s)",
				   strerror(-filter_err));
	}
	if (err == -EPERM && l->yama > 0 && !limits_have(l, CAP_SYS_PTRACE)) {
		*ret_remedy = l->yama < 3 ? "sysctl kernel.yama.ptrace_scope=0; or " SETCAP
					  : "none until the next boot: kernel.yama.ptrace_scope 3 can't be lowered";
		return doctor_text(d, "Yama (kernel.yama.ptrace_scope %d), and this process has no CAP_SYS_PTRACE",
				   l->yama);
	}
	*ret_remedy = err == -EPERM ? SETCAP : NULL;
	return doctor_text(d, "%s%s%s", strerror(-err), *l->lsms ? "; security modules here: " : "", l->lsms);
}

static void try_descriptor(struct uffdctl_doctor *d, const struct other *other)
{
	const char *remedy = NULL, *why;
	_cleanup_close_ int pidfd = -1;
	int r = pidfd_open_process(other->pid, &pidfd), fd;

	if (r >= 0)
		r = pidfd_take_fd(other->pid, pidfd, STDERR_FILENO, &fd);
	if (r >= 0)
		close(fd);
	/* Without a descriptor of that number it was permitted, too. */
	if (r >= 0 || r == -EBADF) {
		doctor_add(d, "descriptors of other processes", NEED_DESCRIPTOR, UFFDCTL_YES,
			   limits_have(&d->limits, CAP_SYS_PTRACE) ? "of all users"
								   : "of this user's dumpable processes",
			   NULL);
		return;
	}
	why = why_no_descriptor(d, r, &remedy);
	doctor_add(d, "descriptors of other processes", NEED_DESCRIPTOR, UFFDCTL_NO, why, remedy);
}

void doctor_processes(struct uffdctl_doctor *d)
{
	struct other other;
	int r = make_other(&other);

	if (r < 0) {
		doctor_add(d, "descriptors of other processes", NEED_DESCRIPTOR, UFFDCTL_NOT_KNOWN,
			   "no process could be started to try it on", NULL);
		return;
	}
	try_descriptor(d, &other);
	close(other.pipe);
}

/* ---- the given process ---- */

/* The kernel checks the right to take a descriptor before it looks for it; no process has this one. */
static void try_target_descriptor(struct uffdctl_doctor *d, const struct uffdctl_target *t)
{
	const char *remedy = NULL, *why;

	if (syscall(SYS_pidfd_getfd, t->pidfd, INT_MAX, 0) < 0 && errno == EBADF) {
		doctor_add(d, "its descriptors", NEED_DESCRIPTOR, UFFDCTL_YES, "pidfd_getfd(2) is permitted", NULL);
		return;
	}
	why = why_no_descriptor(d, -errno, &remedy);
	doctor_add(d, "its descriptors", NEED_DESCRIPTOR, UFFDCTL_NO, why, remedy);
}

static void count_uffds(struct uffdctl_doctor *d)
{
	const struct uffdctl_find_opts opts = { sizeof(opts), &d->pid, 1, 0, 0 };
	struct uffdctl_list *list;
	size_t nr;

	if (uffdctl_list(d->u, &opts, &list) < 0) {
		doctor_add(d, "its userfaultfds", NEED_DESCRIPTOR, UFFDCTL_NOT_KNOWN, "they can't be listed", NULL);
		return;
	}
	nr = uffdctl_list_count(list);
	uffdctl_list_free(list);
	doctor_add(d, "its userfaultfds", NEED_DESCRIPTOR, nr ? UFFDCTL_YES : UFFDCTL_NO,
		   nr ? doctor_text(d, "%zu descriptors", nr) : "no visible process holds one for its memory", NULL);
}

static void look_inside(struct uffdctl_doctor *d, struct uffdctl_target *t)
{
	const struct uffdctl_maps_opts opts = { sizeof(opts), NULL, 0, UFFDCTL_MAPS_ALL };
	int seccomp = limits_seccomp_of(t->procfd);
	struct uffdctl_maps *maps;

	doctor_add(d, "its seccomp filter", 0, seccomp < 0 ? UFFDCTL_NOT_KNOWN : UFFDCTL_YES,
		   seccomp < 0 ? "not known"
		   : seccomp   ? "it has one"
			       : "none",
		   NULL);
	try_target_descriptor(d, t);
	count_uffds(d);
	if (uffdctl_maps(t, &opts, &maps) < 0)
		return;
	doctor_mappings(d, maps);
	uffdctl_maps_free(maps);
}

void doctor_target(struct uffdctl_doctor *d)
{
	struct uffdctl_target *t;
	int r;

	if (!d->pid)
		return;
	r = uffdctl_target_open(d->u, d->pid, &t);
	doctor_add(d, "the process", NEED_PROCESS, r < 0 ? UFFDCTL_NO : UFFDCTL_YES,
		   doctor_text(d, "%s", r < 0 ? uffdctl_last_error(d->u) : "it may be inspected"), NULL);
	if (r < 0)
		return;
	look_inside(d, t);
	uffdctl_target_close(t);
}
