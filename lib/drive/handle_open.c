// SPDX-License-Identifier: LGPL-2.1-or-later
/* Duplicates a userfaultfd of a target into our process. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "lib/drive/choose.h"
#include "lib/drive/inject_uffd.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/source.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"
#include "lib/opts.h"

static int fail_take(const struct uffdctl_handle *h, int err)
{
	struct uffdctl *u = h->t->u;

	switch (err) {
	case -EBADF:
		return fail(u, err, "%d: has no descriptor %d (see uffdctl list %d)", h->pid, h->fd, h->pid);
	case -EPERM:
		return fail(u, err, "%d: pidfd_getfd of fd %d: %s (%s)", h->pid, h->fd, strerror(-err),
			    target_why_not_taken());
	case -EOPNOTSUPP:
		return fail(u, err,
			    "%d: fd %d: the process's first thread has ended, and before Linux 6.9 its descriptors can't be taken: use a descriptor that another process holds, with --fd=PID:FD (see uffdctl list %d)",
			    h->pid, h->fd, h->pid);
	default:
		return fail(u, err, "%d: pidfd_getfd of fd %d: %s", h->pid, h->fd, strerror(-err));
	}
}

static int take(struct uffdctl_handle *h)
{
	_cleanup_close_ int other = -1;
	char path[64];
	int r = 0;

	if (h->pid != h->t->pid)
		r = pidfd_open_process(h->pid, &other);
	if (r >= 0)
		r = pidfd_take_fd(h->pid, other >= 0 ? other : h->t->pidfd, h->fd, &h->uffd);
	/* If something has gone, the reason to report is that the process has ended or called execve(2). */
	if (r < 0 && target_check(h->t) < 0)
		return -ESRCH;
	if (r < 0)
		return fail_take(h, r);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", h->uffd);
	if (!proc_is_uffd(AT_FDCWD, path))
		return fail(h->t->u, -EBADF, "%d: fd %d is no userfaultfd (see uffdctl list %d)", h->pid, h->fd,
			    h->pid);
	return 0;
}

static int check_handshake(struct uffdctl_handle *h, uint64_t flags)
{
	struct uffdctl *u = h->t->u;
	struct uffd_fdinfo info;
	int r = handle_fdinfo(h, &info);

	if (r < 0)
		return fail(u, r, "/proc/self/fdinfo/%d: %s", h->uffd, strerror(-r));
	h->features = info.features;
	if (info.handshake)
		return 0;
	if (flags & UFFDCTL_HANDLE_HANDSHAKE_DRY)
		return 0;
	if (!(flags & UFFDCTL_HANDLE_HANDSHAKE))
		return fail(u, -EPROTO,
			    "%d: fd %d: the process has not issued UFFDIO_API yet (the handshake), so nothing can be registered on it; uffdctl register --handshake issues it, but the process's own call will then fail",
			    h->pid, h->fd);
	log_warning(u, "%d: fd %d: issuing UFFDIO_API without features; the process's own call will fail with EINVAL",
		    h->pid, h->fd);
	r = uffd_handshake(h->uffd, 0, NULL);
	return r < 0 ? fail(u, r, "%d: fd %d: UFFDIO_API: %s", h->pid, h->fd, strerror(-r)) : 0;
}

static int find_memory(struct uffdctl_handle *h)
{
	struct iter *it;
	struct ev_task task = {};
	int r = source_choose(h->t->u, UFFDCTL_SOURCE_AUTO, &h->source, NULL);

	if (r >= 0 && h->source == UFFDCTL_SOURCE_PROC)
		return 0;
	if (r >= 0)
		r = iter_get(h->t->u, &it);
	if (r >= 0)
		r = iter_find_task(it, h->t->pid, &task);
	h->mm = task.mm;
	/* After an execve(2) this is another memory than that of the target; after an exit there is none. */
	if (target_check(h->t) < 0)
		return -ESRCH;
	return r < 0 ? fail(h->t->u, r, "%d: BPF iterator: %s", h->t->pid, strerror(-r)) : 0;
}

/* With the descriptor in our own table, the kernel shows which userfaultfd it is. */
static int identify(struct uffdctl_handle *h)
{
	struct ev_file ev = {};
	struct iter *it;
	int r;

	if (h->source != UFFDCTL_SOURCE_BPF)
		return 0;
	r = iter_get(h->t->u, &it);
	if (r >= 0)
		r = iter_find_fd(it, getpid(), h->uffd, &ev);
	if (r < 0)
		return fail(h->t->u, r, "%d: fd %d: BPF iterator: %s", h->pid, h->fd, strerror(-r));
	if (ev.mm != h->mm && h->fd >= 0)
		return fail(h->t->u, -EXDEV,
			    "%d: fd %d governs the memory of another process (TARGET_PID in uffdctl list): give that PID",
			    h->pid, h->fd);
	h->uffd_id = ev.ctx;
	return 0;
}

static int choose(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges)
{
	const struct uffdctl_uffd *chosen;
	int r = choose_uffd(h, ranges, &chosen);

	if (r >= 0) {
		h->pid = chosen->pid;
		h->fd = chosen->fd;
	}
	return r;
}

/* -EEXIST: the target has one. */
static int inject(struct uffdctl_handle *h, const struct uffdctl_handle_opts *opts)
{
	int r = choose_has_any(h);

	if (r)
		return r < 0 ? r : -EEXIST;
	r = choose_check_ranges(h, opts->ranges);
	if (r < 0)
		return r;
	return opts->flags & UFFDCTL_HANDLE_INJECT_DRY ? inject_uffd_dry(h)
						       : inject_uffd(h, opts->flags & UFFDCTL_HANDLE_INJECT_OWN);
}

static int obtain(struct uffdctl_handle *h, const struct uffdctl_handle_opts *opts)
{
	int r = 0;

	if (opts->flags & (UFFDCTL_HANDLE_INJECT | UFFDCTL_HANDLE_INJECT_DRY)) {
		r = inject(h, opts);
		if (r != -EEXIST)
			return r;
	}
	r = opts->flags & UFFDCTL_HANDLE_FD ? 0 : choose(h, opts->ranges);
	if (r >= 0)
		r = take(h);
	return r < 0 ? r : check_handshake(h, opts->flags);
}

static int open_handle(struct uffdctl_target *t, const struct uffdctl_handle_opts *opts, struct uffdctl_handle **ret)
{
	struct uffdctl_handle *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return log_oom(t->u);
	*h = (struct uffdctl_handle){ .t = t, .uffd = -1, .pid = opts->pid ?: t->pid, .fd = opts->fd };
	r = find_memory(h);
	if (r >= 0)
		r = obtain(h, opts);
	if (r >= 0)
		r = identify(h);
	if (r < 0) {
		uffdctl_handle_close(h);
		return r;
	}
	log_info(t->u, "%d: using fd %d of process %d", t->pid, h->fd, h->pid);
	*ret = h;
	return 0;
}

int handle_open_bare(struct uffdctl_target *t, struct uffdctl_handle **ret)
{
	struct uffdctl_handle *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return log_oom(t->u);
	*h = (struct uffdctl_handle){ .t = t, .uffd = -1, .pid = t->pid, .fd = -1 };
	r = find_memory(h);
	if (r >= 0)
		r = handle_look(h, true);
	if (r < 0) {
		uffdctl_handle_close(h);
		return r;
	}
	*ret = h;
	return 0;
}

static int take_listed(struct uffdctl_handle *h, size_t i)
{
	int r;

	h->pid = h->list->uffds[i].pid;
	h->fd = h->list->uffds[i].fd;
	r = take(h);
	if (r >= 0)
		r = identify(h);
	if (r < 0)
		cleanup_close(&h->uffd);
	if (r < 0)
		h->uffd = -1;
	return r;
}

int handle_take_any(struct uffdctl_handle *h, uint64_t owner)
{
	int r = 0;

	/* Who may not take one can't lock it either. */
	h->t->u->silent = true;
	for (int round = 0; round < 2 && h->uffd < 0; round++)
		for (size_t i = 0; i < h->list->nr && h->uffd < 0; i++)
			if (round || (owner && h->list->ids && h->list->ids[i] == owner))
				r = take_listed(h, i);
	h->t->u->silent = false;
	return r < 0 && h->uffd < 0 ? take_listed(h, 0) : 0;
}

OPTS_CHECK(uffdctl_handle_opts, fd);

UFFDCTL_EXPORT int uffdctl_handle_open(struct uffdctl_target *t, const struct uffdctl_handle_opts *opts,
				       struct uffdctl_handle **ret)
{
	uint64_t inject = UFFDCTL_HANDLE_INJECT | UFFDCTL_HANDLE_INJECT_DRY | UFFDCTL_HANDLE_INJECT_OWN,
		 flags = UFFDCTL_HANDLE_FD | UFFDCTL_HANDLE_HANDSHAKE | UFFDCTL_HANDLE_HANDSHAKE_DRY | inject;
	struct uffdctl_handle_opts o;
	int r = OPTS_GET(t->u, opts, &o);

	if (r < 0)
		return r;
	if (o.flags & ~flags)
		return fail(t->u, -EINVAL, "%d: uffdctl_handle_open: unknown flags: 0x%" PRIx64, t->pid,
			    o.flags & ~flags);
	if (!(o.flags & UFFDCTL_HANDLE_FD) && (o.pid || o.fd))
		return fail(t->u, -EINVAL, "%d: uffdctl_handle_open: pid and fd need UFFDCTL_HANDLE_FD", t->pid);
	if (o.flags & UFFDCTL_HANDLE_FD && o.flags & inject)
		return fail(t->u, -EINVAL, "%d: uffdctl_handle_open: a descriptor was given: nothing is injected",
			    t->pid);
	return open_handle(t, &o, ret);
}
