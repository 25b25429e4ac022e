// SPDX-License-Identifier: LGPL-2.1-or-later
/* Userfaultfds and who holds them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "lib/inspect/list.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/uffd.h"
#include "lib/kernel/vmflags.h"
#include "lib/log.h"
#include "lib/util.h"

uint32_t list_ctx(const struct uffdctl_list *l, uint64_t ctx)
{
	if (!ctx || l->source != UFFDCTL_SOURCE_BPF)
		return 0;
	for (size_t i = 0; i < l->nr; i++)
		if (l->ctxs[i] == ctx)
			return l->uffds[i].ctx;
	return UFFDCTL_CTX_UNHELD;
}

char *list_holders(const struct uffdctl_list *l, uint32_t ctx)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < l->nr; i++)
		if (l->uffds[i].ctx == ctx)
			fprintf(f, "%s%d:%d", ftell(f) ? ", " : "", l->uffds[i].pid, l->uffds[i].fd);
	if (ctx == UFFDCTL_CTX_UNHELD)
		fputs("a userfaultfd that no process in sight holds", f);
	return fclose(f) ? free(text), NULL : text;
}

/* ---- what both sources need from /proc ---- */

/* The name of its first thread, which may have ended. */
static int read_comm(pid_t pid, int procfd, struct uffdctl_uffd *d)
{
	struct proc_stat st;
	char path[64], buf[1024];
	int r;

	snprintf(path, sizeof(path), "task/%d/stat", pid);
	r = proc_read(procfd, path, buf, sizeof(buf));
	if (r < 0)
		return r;
	if (stat_parse(buf, &st) < 0)
		return -EPROTO;
	d->pid = pid;
	memcpy(d->comm, st.comm, sizeof(d->comm));
	return 0;
}

static void read_fdinfo(int procfd, struct uffdctl_uffd *d)
{
	struct uffd_fdinfo info;
	char path[32], buf[1024];

	d->features = d->pending = d->total = UFFDCTL_UNKNOWN;
	snprintf(path, sizeof(path), "fdinfo/%d", d->fd);
	if (proc_read(procfd, path, buf, sizeof(buf)) < 0 || fdinfo_parse(buf, &info) < 0)
		return;
	d->pending = info.pending;
	d->total = info.total;
	if (info.handshake)
		d->features = info.features;
}

static struct uffdctl_uffd *add_uffd(struct uffdctl_list *l)
{
	struct uffdctl_uffd *d = vec_add(l->uffds, l->nr, l->alloc);

	if (d) {
		*d = (struct uffdctl_uffd){ .waits = UFFDCTL_UNKNOWN };
		for (int i = 0; i < NR_MODES; i++)
			d->bytes[i] = UFFDCTL_UNKNOWN;
	}
	return d;
}

/* ---- from BPF ---- */

/* One walk tells of processes first, then of the files that were found. */
struct bpf_walk {
	struct uffdctl_list *l;
	struct ev_task *tasks;
	size_t nr_tasks, tasks_alloc;
};

static int add_task(const void *ev, void *arg)
{
	struct bpf_walk *w = arg;
	struct ev_task *task = vec_add(w->tasks, w->nr_tasks, w->tasks_alloc);

	if (!task)
		return -ENOMEM;
	*task = *(const struct ev_task *)ev;
	return 0;
}

static int add_file(const void *arg_ev, void *arg)
{
	const struct ev_file *ev = arg_ev;
	struct uffdctl_list *l = ((struct bpf_walk *)arg)->l;
	_cleanup_close_ int procfd = -1;
	struct uffdctl_uffd *d;
	uint64_t *ctx, *mm;
	size_t n = l->nr, m = n;
	int r;

	/* Ours are no news. */
	if (ev->pid == (uint32_t)getpid())
		return 0;
	ctx = vec_add(l->ctxs, n, l->ctxs_alloc);
	mm = vec_add(l->mms, m, l->mms_alloc);
	d = add_uffd(l);
	if (!d || !ctx || !mm)
		return -ENOMEM;
	*ctx = ev->ctx;
	*mm = ev->mm;
	d->fd = ev->fd;
	d->waits = ev->has_reader;
	d->pid = ev->pid;
	r = proc_open_live(ev->pid, &procfd, NULL);
	if (r >= 0)
		r = read_comm(ev->pid, procfd, d);
	if (r == -ESRCH || r == -ENOENT) {
		/* It has gone since: leave it out. */
		l->nr--;
		return 0;
	}
	if (r < 0)
		return r;
	read_fdinfo(procfd, d);
	return 0;
}

/* Whose memory it is: of several processes that share one, a holder. */
static void match_mm(struct uffdctl_list *l, const struct ev_task *task)
{
	for (size_t i = 0; i < l->nr; i++)
		if (l->mms[i] == task->mm && (!l->uffds[i].target_pid || l->uffds[i].pid == (pid_t)task->pid))
			l->uffds[i].target_pid = task->pid;
}

struct count {
	struct uffdctl_list *l;
	const struct vmflags *vmflags;
};

static int count_vma(const void *arg_ev, void *arg)
{
	const struct ev_vma *ev = arg_ev;
	struct count *c = arg;
	uint64_t modes = vmflags_modes(c->vmflags, ev->vm_flags);

	for (size_t i = 0; i < c->l->nr; i++)
		for (int m = 0; m < NR_MODES && c->l->ctxs[i] == ev->ctx; m++)
			if (modes >> m & 1)
				c->l->uffds[i].bytes[m] += ev->end - ev->start;
	return 0;
}

static void number_ctxs(struct uffdctl_list *l)
{
	uint32_t next = 0;

	for (size_t i = 0; i < l->nr; i++) {
		for (size_t k = 0; k < i && !l->uffds[i].ctx; k++)
			if (l->ctxs[k] == l->ctxs[i])
				l->uffds[i].ctx = l->uffds[k].ctx;
		if (!l->uffds[i].ctx)
			l->uffds[i].ctx = ++next;
	}
}

/* Each memory is walked once, by the name of its process. */
static int count_bytes(struct uffdctl_list *l, struct iter *it, const struct vmflags *vmflags)
{
	struct count c = { l, vmflags };
	int r;

	for (size_t i = 0; i < l->nr; i++) {
		if (!l->uffds[i].target_pid || l->uffds[i].bytes[0] != UFFDCTL_UNKNOWN)
			continue;
		for (size_t k = i; k < l->nr; k++)
			if (l->mms[k] == l->mms[i])
				memset(l->uffds[k].bytes, 0, sizeof(l->uffds[k].bytes));
		r = iter_vmas(it, l->uffds[i].target_pid, true, count_vma, &c);
		/* A process that is gone by now has nothing registered. */
		if (r < 0 && r != -ESRCH && r != -ENOENT)
			return r;
	}
	return 0;
}

static int list_bpf(struct uffdctl *u, struct uffdctl_list *l)
{
	struct bpf_walk w = { .l = l };
	const struct vmflags *vmflags;
	struct iter *it;
	int r = iter_get(u, &it);

	if (r < 0)
		return r;
	r = iter_files(it, 0, add_file, add_task, &w);
	for (size_t i = 0; r >= 0 && l->nr && i < w.nr_tasks; i++)
		match_mm(l, &w.tasks[i]);
	free(w.tasks);
	if (r < 0 || !l->nr)
		return r;
	r = vmflags_get(u, it, &vmflags);
	if (r < 0)
		return r;
	number_ctxs(l);
	return count_bytes(l, it, vmflags);
}

struct find_fd {
	int fd;
	struct ev_file *ret;
	bool found;
};

static int find_fd(const void *arg_ev, void *arg)
{
	const struct ev_file *ev = arg_ev;
	struct find_fd *f = arg;

	if ((int)ev->fd != f->fd)
		return 0;
	*f->ret = *ev;
	f->found = true;
	return 0;
}

int list_find_fd(struct iter *it, pid_t pid, int fd, struct ev_file *ret)
{
	struct find_fd f = { fd, ret, false };
	int r = iter_files(it, pid, find_fd, NULL, &f);

	return r < 0 ? r : f.found ? 0 : -ENOENT;
}

static int find_task(const void *ev, void *arg)
{
	*(struct ev_task *)arg = *(const struct ev_task *)ev;
	return 0;
}

int list_find_task(struct iter *it, pid_t pid, struct ev_task *ret)
{
	struct ev_task task = {};
	int r = iter_tasks(it, pid, find_task, &task);

	if (r < 0)
		return r;
	if (!task.mm)
		return -ENOENT;
	*ret = task;
	return 0;
}

/* ---- from /proc ---- */

struct proc_walk {
	struct uffdctl_list *l;
	int procfd;
	pid_t pid;
	size_t nr_hidden; /* processes whose descriptors may not be seen */
};

static int add_proc_fd(uint32_t fd, void *arg)
{
	struct proc_walk *w = arg;
	struct uffdctl_uffd *d;
	char path[32];

	snprintf(path, sizeof(path), "fd/%u", fd);
	if (!proc_is_uffd(w->procfd, path))
		return 0;
	d = add_uffd(w->l);
	if (!d)
		return -ENOMEM;
	d->fd = fd;
	if (read_comm(w->pid, w->procfd, d) < 0) {
		w->l->nr--;
		return 0;
	}
	read_fdinfo(w->procfd, d);
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

/* Where a process's first thread has ended, kcmp takes the number of another. */
static int same_file(const struct uffdctl_uffd *a, const struct uffdctl_uffd *b)
{
	_cleanup_close_ int fd_a = -1, fd_b = -1;
	pid_t tid_a, tid_b;
	int r = pidfd_same_file(a->pid, a->fd, b->pid, b->fd);

	if (r != -EBADF && r != -ESRCH)
		return r;
	if (proc_open_live(a->pid, &fd_a, &tid_a) < 0 || proc_open_live(b->pid, &fd_b, &tid_b) < 0)
		return r;
	return pidfd_same_file(tid_a, a->fd, tid_b, b->fd);
}

/* The same open file is the same userfaultfd. Where kcmp may not tell, the number stays unknown. */
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

/* @why: of auto, why BPF can't be had; NULL where proc was asked for */
static int list_proc(struct uffdctl *u, struct uffdctl_list *l, const char *why)
{
	struct proc_walk w = { .l = l };
	int r = proc_each_number(AT_FDCWD, "/proc", add_proc, &w);

	if (r < 0)
		return r;
	number_by_kcmp(l);
	if (why && w.nr_hidden)
		log_notice(u,
			   "owners and registered bytes are not known: %s; nor the descriptors of %zu processes: " NEEDS_FD,
			   why, w.nr_hidden);
	else if (why)
		log_notice(u, "owners and registered bytes are not known: %s", why);
	else if (w.nr_hidden)
		log_notice(u, "the descriptors of %zu processes are not known: " NEEDS_FD, w.nr_hidden);
	return 0;
}

/* ---- both ---- */

static bool names_pid(const struct uffdctl_uffd *d, const pid_t *pids, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (d->pid == pids[i] || d->target_pid == pids[i])
			return true;
	return false;
}

/* With one descriptor of a userfaultfd come all the others of it. */
static bool wanted(const struct uffdctl_list *l, size_t i, const pid_t *pids, size_t nr)
{
	for (size_t k = 0; k < l->nr; k++)
		if ((k == i || (l->uffds[i].ctx && l->uffds[k].ctx == l->uffds[i].ctx)) &&
		    names_pid(&l->uffds[k], pids, nr))
			return true;
	return !pids;
}

/* After numbering, so that the same userfaultfd has the same number whatever is asked for. */
static int keep_wanted(struct uffdctl_list *l, const pid_t *pids, size_t nr_pids)
{
	_cleanup_free_ bool *keep = calloc(l->nr, sizeof(*keep));
	size_t n = 0;

	if (!keep && l->nr)
		return -ENOMEM;
	for (size_t i = 0; i < l->nr; i++)
		keep[i] = wanted(l, i, pids, nr_pids);
	for (size_t i = 0; i < l->nr; i++) {
		if (!keep[i])
			continue;
		l->uffds[n] = l->uffds[i];
		if (l->ctxs) {
			l->ctxs[n] = l->ctxs[i];
			l->mms[n] = l->mms[i];
		}
		n++;
	}
	l->nr = n;
	return 0;
}

/* Not a kernel or a user without BPF, but we ourselves without means. */
static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM;
}

UFFDCTL_EXPORT int uffdctl_list(struct uffdctl *u, enum uffdctl_source source, const pid_t *pids, size_t nr_pids,
				struct uffdctl_list **ret)
{
	struct uffdctl_list *l = calloc(1, sizeof(*l));
	int r = -EOPNOTSUPP;

	if (!l)
		return log_oom(u);
	if (proc_check_namespace() < 0) {
		free(l);
		return fail(u, -EXDEV, TEXT_PROC);
	}
	if (source != UFFDCTL_SOURCE_PROC) {
		l->source = UFFDCTL_SOURCE_BPF;
		r = list_bpf(u, l);
		if (r < 0 && source == UFFDCTL_SOURCE_BPF)
			log_error(u, "%s", iter_why(r));
	}
	if (source == UFFDCTL_SOURCE_PROC || (source == UFFDCTL_SOURCE_AUTO && r < 0 && !u->iter && !is_shortage(r))) {
		l->source = UFFDCTL_SOURCE_PROC;
		r = list_proc(u, l, source == UFFDCTL_SOURCE_AUTO ? iter_why(r) : NULL);
		if (r < 0)
			log_error(u, "/proc: %s", strerror(-r));
	}
	if (r < 0 && source == UFFDCTL_SOURCE_AUTO && l->source == UFFDCTL_SOURCE_BPF)
		log_error(u, "looking for userfaultfds: %s", strerror(-r));
	log_debug(u, "userfaultfds from %s", l->source == UFFDCTL_SOURCE_BPF ? "bpf" : "proc");
	if (r >= 0)
		r = keep_wanted(l, pids, nr_pids);
	if (r < 0) {
		uffdctl_list_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_list_free(struct uffdctl_list *l)
{
	if (!l)
		return;
	free(l->uffds);
	free(l->ctxs);
	free(l->mms);
	free(l);
}

UFFDCTL_EXPORT size_t uffdctl_list_count(const struct uffdctl_list *l)
{
	return l->nr;
}

UFFDCTL_EXPORT const struct uffdctl_uffd *uffdctl_list_get(const struct uffdctl_list *l, size_t i)
{
	return i < l->nr ? &l->uffds[i] : NULL;
}

UFFDCTL_EXPORT enum uffdctl_source uffdctl_list_source(const struct uffdctl_list *l)
{
	return l->source;
}
