// SPDX-License-Identifier: LGPL-2.1-or-later
/* Userfaultfds and their holders, from /proc. */
#include <errno.h>
#include <fcntl.h>

#include "lib/inspect/list_entries.h"
#include "lib/kernel/kcmp.h"
#include "lib/kernel/proc.h"
#include "lib/log.h"

struct proc_walk {
	struct uffdctl_list *l;
	int procfd;
	pid_t pid;
	size_t nr_hidden; /* processes whose descriptors may not be read */
};

static int add_proc_fd(uint32_t fd, void *arg)
{
	struct proc_walk *w = arg;
	struct uffdctl_uffd *d;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "fd/%u", fd);
	if (!proc_is_uffd(w->procfd, path))
		return 0;
	d = list_add(w->l);
	if (!d)
		return -ENOMEM;
	d->fd = fd;
	r = list_read_comm(w->pid, w->procfd, d);
	if (r < 0) {
		w->l->nr--;
		return r == -EMFILE || r == -ENFILE ? r : 0;
	}
	list_read_fdinfo(w->procfd, d);
	return 0;
}

static int add_proc(uint32_t pid, void *arg)
{
	struct proc_walk *w = arg;
	_cleanup_close_ int procfd = -1;
	int r;

	if (pid == (uint32_t)getpid())
		return 0;
	r = proc_open_live(pid, &procfd, NULL);
	w->procfd = procfd;
	w->pid = pid;
	if (r >= 0)
		r = proc_each_number(procfd, "fd", add_proc_fd, w);
	if (r == -EACCES || r == -EPERM)
		w->nr_hidden++;
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE ? r : 0;
}

/* If the first thread of a process has ended, kcmp needs the ID of another thread. */
static int same_file(const struct uffdctl_uffd *a, const struct uffdctl_uffd *b)
{
	_cleanup_close_ int fd_a = -1, fd_b = -1;
	pid_t tid_a, tid_b;
	int r = kcmp_same_file(a->pid, a->fd, b->pid, b->fd);

	if (r != -EBADF && r != -ESRCH)
		return r;
	if (proc_open_live(a->pid, &fd_a, &tid_a) < 0 || proc_open_live(b->pid, &fd_b, &tid_b) < 0)
		return r;
	return kcmp_same_file(tid_a, a->fd, tid_b, b->fd);
}

/* The same open file is the same userfaultfd. If kcmp is not permitted, the number stays unknown. */
static void number_by_kcmp(struct uffdctl_list *l)
{
	uint32_t next = 0;

	for (size_t i = 0; i < l->nr; i++) {
		struct uffdctl_uffd *d = &l->uffds[i];
		int same = 0;

		for (size_t k = 0; k < i && same == 0; k++) {
			same = same_file(&l->uffds[k], d);
			if (same == 1)
				d->ctx = l->uffds[k].ctx;
		}
		if (same == 0)
			d->ctx = ++next;
	}
}

#define NEEDS_FD "/proc/PID/fd needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"

int list_from_proc(struct uffdctl *u, struct uffdctl_list *l, const char *why)
{
	struct proc_walk w = { .l = l };
	int r = proc_each_number(AT_FDCWD, "/proc", add_proc, &w);

	if (r < 0)
		return r;
	number_by_kcmp(l);
	if (why && w.nr_hidden)
		log_notice(u,
			   "owners and registered bytes are not known: %s; the descriptors of %zu processes are not known: " NEEDS_FD,
			   why, w.nr_hidden);
	else if (why)
		log_notice(u, "owners and registered bytes are not known: %s", why);
	else if (w.nr_hidden)
		log_notice(u, "the descriptors of %zu processes are not known: " NEEDS_FD, w.nr_hidden);
	return 0;
}
