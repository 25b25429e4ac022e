// SPDX-License-Identifier: LGPL-2.1-or-later
/* Threads that wait on userfaultfds now, found by the kernel function in which each sleeps, from /proc. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/inspect/pending_build.h"
#include "lib/kernel/proc.h"

struct task_walk {
	struct uffdctl_pending *p;
	int procfd;
	pid_t pid;
};

/* The kernel function in which a thread sleeps: root may read its stack; whoever may ptrace it may read its wchan. */
static bool sleeps_in(int procfd, uint32_t tid, const char *function)
{
	static const char *const files[] = { "stack", "wchan" };
	char path[64], buf[4096];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "task/%u/%s", tid, files[i]);
		if (proc_read(procfd, path, buf, sizeof(buf)) >= 0 && strstr(buf, function))
			return true;
	}
	return false;
}

static int add_task(uint32_t tid, void *arg)
{
	struct task_walk *walk = arg;
	struct uffdctl_waiter *w;
	struct proc_stat st;
	char path[64], buf[1024];

	if (!sleeps_in(walk->procfd, tid, "handle_userfault") &&
	    !sleeps_in(walk->procfd, tid, "userfaultfd_event_wait_completion"))
		return 0;
	snprintf(path, sizeof(path), "task/%u/stat", tid);
	if (proc_read(walk->procfd, path, buf, sizeof(buf)) < 0 || stat_parse(buf, &st) < 0)
		return 0;
	w = vec_add(walk->p->waiters, walk->p->nr, walk->p->alloc);
	if (!w)
		return -ENOMEM;
	*w = (struct uffdctl_waiter){ .pid = walk->pid,
				      .tid = tid,
				      .addr = UFFDCTL_UNKNOWN,
				      .slept_ns = UFFDCTL_UNKNOWN,
				      .offset = UFFDCTL_UNKNOWN };
	memcpy(w->comm, st.comm, sizeof(w->comm));
	return 0;
}

static int add_process(uint32_t pid, void *arg)
{
	struct task_walk *walk = arg;
	_cleanup_close_ int procfd = -1;
	char c;
	int r;

	if (proc_open_live(pid, &procfd, NULL) < 0)
		return 0;
	/* Without ptrace access, wchan shows nothing, and no error. */
	if (readlinkat(procfd, "exe", &c, 1) < 0 && (errno == EACCES || errno == EPERM)) {
		walk->p->nr_hidden++;
		return 0;
	}
	walk->procfd = procfd;
	walk->pid = pid;
	r = proc_each_number(procfd, "task", add_task, walk);
	return r == -ENOMEM ? r : 0;
}

int pending_from_proc(struct uffdctl_pending *p)
{
	struct task_walk walk = { .p = p };

	return proc_each_number(AT_FDCWD, "/proc", add_process, &walk);
}
