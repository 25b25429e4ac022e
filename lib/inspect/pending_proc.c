// SPDX-License-Identifier: LGPL-2.1-or-later
/* Threads that wait on userfaultfds now, found by the kernel function in which each sleeps, from /proc. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/inspect/pending_build.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/proc.h"

struct task_walk {
	struct uffdctl_pending *p;
	int procfd;
	pid_t pid;
};

/* The kernel function in which a thread sleeps: root may read its stack; whoever may ptrace it may read its wchan. */
static int sleeps_in(int procfd, uint32_t tid, const char *function)
{
	static const char *const files[] = { "stack", "wchan" };
	char path[64], buf[4096];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int r;

		snprintf(path, sizeof(path), "task/%u/%s", tid, files[i]);
		r = proc_read(procfd, path, buf, sizeof(buf));
		if (iter_is_shortage(r))
			return r;
		if (r >= 0 && strstr(buf, function))
			return 1;
	}
	return 0;
}

static int add_task(uint32_t tid, void *arg)
{
	struct task_walk *walk = arg;
	struct uffdctl_waiter *w;
	struct proc_stat st;
	char path[64], buf[1024];
	int r = sleeps_in(walk->procfd, tid, "handle_userfault");

	if (r == 0)
		r = sleeps_in(walk->procfd, tid, "userfaultfd_event_wait_completion");
	if (r <= 0)
		return r;
	snprintf(path, sizeof(path), "task/%u/stat", tid);
	r = proc_read(walk->procfd, path, buf, sizeof(buf));
	if (r < 0 || stat_parse(buf, &st) < 0)
		return iter_is_shortage(r) ? r : 0;
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

	r = proc_open_live(pid, &procfd, NULL);
	if (r < 0)
		return iter_is_shortage(r) ? r : 0;
	/* Without ptrace access, wchan shows nothing, and no error. */
	if (readlinkat(procfd, "exe", &c, 1) < 0 && (errno == EACCES || errno == EPERM)) {
		walk->p->nr_hidden++;
		return 0;
	}
	walk->procfd = procfd;
	walk->pid = pid;
	r = proc_each_number(procfd, "task", add_task, walk);
	return iter_is_shortage(r) ? r : 0;
}

int pending_from_proc(struct uffdctl_pending *p)
{
	struct task_walk walk = { .p = p };

	return proc_each_number(AT_FDCWD, "/proc", add_process, &walk);
}
