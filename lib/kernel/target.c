// SPDX-License-Identifier: LGPL-2.1-or-later
/* A process, identified by its pidfd, and its memory by an open /proc/PID/maps. */
#include <fcntl.h>
#include <string.h>

#include "lib/kernel/pidfd.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/target.h"
#include "lib/log.h"
#include "lib/util.h"

static bool has_memory(struct uffdctl_target *t)
{
	char c;

	return pread(t->mapsfd, &c, 1, 0) == 1;
}

bool target_is_gone(struct uffdctl_target *t)
{
	return pidfd_exited(t->pidfd) || !has_memory(t);
}

int target_check(struct uffdctl_target *t)
{
	if (pidfd_exited(t->pidfd))
		return fail(t->u, -ESRCH, "%d: the process has exited", t->pid);
	if (!has_memory(t))
		return fail(t->u, -ESRCH, "%d: the process has started another program (execve), or is exiting",
			    t->pid);
	return 0;
}

/* Get /proc of a living thread: the one that was used may have ended before the others. */
static int find_live_thread(struct uffdctl_target *t)
{
	int fd, r;

	if (t->procfd >= 0 && proc_lives(t->procfd))
		return 0;
	r = proc_open_live(t->pid, &fd, &t->tid);
	if (r < 0)
		return r;
	cleanup_close(&t->procfd);
	t->procfd = fd;
	return 0;
}

int target_open_file(struct uffdctl_target *t, const char *path, int flags, int *ret)
{
	_cleanup_close_ int fd = -1;
	int err, r;

	find_live_thread(t);
	fd = openat(t->procfd, path, flags | O_CLOEXEC);
	err = -errno;
	r = target_check(t);
	if (r < 0)
		return r;
	if (fd < 0)
		return err;
	*ret = steal_fd(fd);
	return 0;
}

static bool is_zombie(int procfd)
{
	struct proc_stat st;
	char buf[1024];

	return proc_read(procfd, "stat", buf, sizeof(buf)) >= 0 && stat_parse(buf, &st) >= 0 && st.state == 'Z';
}

static int open_process(struct uffdctl *u, struct uffdctl_target *t)
{
	int r = pidfd_open_process(t->pid, &t->pidfd), r2;

	if (proc_check_namespace() < 0)
		return fail(u, -EXDEV, TEXT_PROC);
	if (r == -ESRCH)
		return fail(u, r, "%d: no such process", t->pid);
	if (r < 0 && r != -EINVAL && r != -ENOENT)
		return fail(u, r, "%d: pidfd_open: %s", t->pid, strerror(-r));

	r2 = r < 0 ? proc_open_dir(t->pid, &t->procfd) : find_live_thread(t);
	if (r < 0) {
		pid_t tgid = r2 < 0 ? 0 : proc_tgid(t->procfd);

		if (tgid)
			return fail(u, -EINVAL, "%d: is a thread of process %d: give that PID", t->pid, tgid);
		return fail(u, -ESRCH, "%d: no such process", t->pid);
	}
	if (r2 < 0)
		return fail(u, r2, "%d: /proc/%d: %s%s", t->pid, t->pid, strerror(-r2),
			    r2 == -ESRCH ? " (is /proc mounted, and with hidepid?)" : "");
	/* If the PID was recycled between the two opens, our pidfd's process has ended. */
	if (pidfd_exited(t->pidfd))
		return fail(u, -ESRCH, "%d: %s", t->pid,
			    is_zombie(t->procfd) ? "is a zombie: it has exited and its parent has not waited for it"
						 : "the process has exited");
	return 0;
}

/* The thread may end before its maps is opened, while the process goes on. */
static void open_maps(struct uffdctl_target *t)
{
	for (int tries = 0; tries < 2; tries++) {
		t->mapsfd = openat(t->procfd, "maps", O_RDONLY | O_CLOEXEC);
		if ((t->mapsfd < 0 && errno != ESRCH) || (t->mapsfd >= 0 && has_memory(t)) || tries ||
		    proc_lives(t->procfd) || find_live_thread(t) < 0)
			break;
		cleanup_close(&t->mapsfd);
	}
}

static int open_memory(struct uffdctl *u, struct uffdctl_target *t)
{
	struct proc_stat st = { .comm = "?" };
	char path[64], buf[1024];
	int r;

	/* The name of a process is that of its first thread, also if that has ended. */
	snprintf(path, sizeof(path), "task/%d/stat", t->pid);
	r = proc_read(t->procfd, path, buf, sizeof(buf));
	if (r >= 0)
		r = stat_parse(buf, &st);
	if (r == -ENOENT || r == -ESRCH)
		return fail(u, -ESRCH, "%d: the process has exited", t->pid);
	/* With hidepid=1 its maps can't be opened either: see below. */
	if (r < 0 && r != -EPERM && r != -EACCES)
		return fail(u, r, "%d: /proc/%d/%s: %s", t->pid, t->pid, path, strerror(-r));
	t->comm = escaped(st.comm);
	if (st.flags & PF_KTHREAD)
		return fail(u, -ESRCH, "%d (%s): is a kernel thread, which has no memory of its own", t->pid, t->comm);

	open_maps(t);
	if (t->mapsfd < 0 && (errno == EACCES || errno == EPERM))
		return fail(u, -EPERM, "%d (%s): %s (" TEXT_PTRACE ")", t->pid, t->comm, strerror(EPERM));
	if (t->mapsfd < 0 && errno != ESRCH)
		return fail(u, -errno, "%d (%s): /proc/%d/maps: %s", t->pid, t->comm, t->pid, strerror(errno));
	if (t->mapsfd < 0 || !has_memory(t))
		return fail(u, -ESRCH, "%d (%s): has no memory (exiting)", t->pid, t->comm);
	return 0;
}

const char *target_why_not_taken(void)
{
	char buf[16] = "";

	/* Without Yama there is no such file. */
	proc_read(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", buf, sizeof(buf));
	switch (atoi(buf)) {
	case 0:
		return TEXT_PTRACE;
	case 1:
		return "Yama permits it only to its parents, and to root: run as root, or setcap cap_sys_ptrace+ep on this program, or sysctl kernel.yama.ptrace_scope=0";
	case 2:
		return "Yama permits it only to root: run as root, or setcap cap_sys_ptrace+ep on this program";
	default:
		return "Yama permits it to nobody until the next boot: kernel.yama.ptrace_scope is 3";
	}
}

UFFDCTL_EXPORT int uffdctl_target_open(struct uffdctl *u, pid_t pid, struct uffdctl_target **ret)
{
	struct uffdctl_target *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return log_oom(u);
	*t = (struct uffdctl_target){ .u = u, .pid = pid, .tid = pid, .pidfd = -1, .procfd = -1, .mapsfd = -1 };
	r = open_process(u, t);
	if (r >= 0)
		r = open_memory(u, t);
	if (r < 0) {
		uffdctl_target_close(t);
		return r;
	}
	*ret = t;
	return 0;
}

UFFDCTL_EXPORT int uffdctl_target_check(struct uffdctl_target *t)
{
	return target_check(t);
}

UFFDCTL_EXPORT void uffdctl_target_close(struct uffdctl_target *t)
{
	if (!t)
		return;
	cleanup_close(&t->mapsfd);
	cleanup_close(&t->procfd);
	cleanup_close(&t->pidfd);
	free(t->comm);
	free(t);
}

UFFDCTL_EXPORT pid_t uffdctl_target_pid(const struct uffdctl_target *t)
{
	return t->pid;
}

UFFDCTL_EXPORT const char *uffdctl_target_comm(const struct uffdctl_target *t)
{
	return t->comm;
}
