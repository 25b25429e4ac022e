// SPDX-License-Identifier: LGPL-2.1-or-later
/* Userfaultfds and their holders, from BPF iterators. */
#include <errno.h>
#include <string.h>

#include "lib/inspect/list_entries.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/names.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/vmflags.h"
#include "lib/util.h"

/* One walk finds processes first, then userfaultfds. */
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
	uint64_t *id, *mm;
	size_t n = l->nr, m = n;
	int r;

	/* Leave out our own. */
	if (ev->pid == (uint32_t)getpid())
		return 0;
	id = vec_add(l->ids, n, l->ids_alloc);
	mm = vec_add(l->mms, m, l->mms_alloc);
	d = list_add(l);
	if (!d || !id || !mm)
		return -ENOMEM;
	*id = ev->ctx;
	*mm = ev->mm;
	d->fd = ev->fd;
	d->has_reader = ev->has_reader;
	d->pid = ev->pid;
	r = proc_open_live(ev->pid, &procfd, NULL);
	if (r >= 0)
		r = list_read_comm(ev->pid, procfd, d);
	if (r == -ESRCH || r == -ENOENT) {
		/* It has ended meanwhile: leave it out. */
		l->nr--;
		return 0;
	}
	if (r < 0)
		return r;
	list_read_fdinfo(procfd, d);
	return 0;
}

/* The process whose memory it is; if several share it, one that is a holder. */
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
		for (int m = 0; m < NR_MODES && c->l->ids[i] == ev->ctx; m++)
			if (modes >> m & 1)
				c->l->uffds[i].bytes[m] += ev->end - ev->start;
	return 0;
}

static void number_by_id(struct uffdctl_list *l)
{
	uint32_t next = 0;

	for (size_t i = 0; i < l->nr; i++) {
		for (size_t k = 0; k < i && !l->uffds[i].ctx; k++)
			if (l->ids[k] == l->ids[i])
				l->uffds[i].ctx = l->uffds[k].ctx;
		if (!l->uffds[i].ctx)
			l->uffds[i].ctx = ++next;
	}
}

/* Each memory is walked once, through its process. */
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
		/* A process that has ended has nothing registered. */
		if (r < 0 && r != -ESRCH && r != -ENOENT)
			return r;
	}
	return 0;
}

int list_from_bpf(struct uffdctl *u, struct uffdctl_list *l, bool with_bytes)
{
	struct bpf_walk w = { .l = l };
	const struct vmflags *vmflags;
	bool silent = u->silent;
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
	number_by_id(l);
	if (!with_bytes)
		return 0;
	/* The caller logs the failure. */
	u->silent = true;
	r = vmflags_get(u, it, &vmflags);
	u->silent = silent;
	return r < 0 ? r : count_bytes(l, it, vmflags);
}
