// SPDX-License-Identifier: LGPL-2.1-or-later
/* A userfaultfd of a target, in our hands. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "lib/drive/handle.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"
#include "lib/util.h"

/* Of one userfaultfd, a descriptor of the target's own comes first: it lives as long as the target. */
static bool is_candidate(const struct uffdctl_handle *h, const struct uffdctl_uffd *d)
{
	return h->list->source == UFFDCTL_SOURCE_BPF ? d->target_pid == h->t->pid : d->pid == h->t->pid;
}

static const struct uffdctl_uffd *best_of(const struct uffdctl_handle *h, uint32_t ctx)
{
	const struct uffdctl_uffd *best = NULL;

	for (size_t i = 0; i < h->list->nr; i++) {
		const struct uffdctl_uffd *d = &h->list->uffds[i];

		if (d->ctx == ctx && is_candidate(h, d) && (!best || (best->pid != h->t->pid && d->pid == h->t->pid)))
			best = d;
	}
	return best;
}

static int fail_several(struct uffdctl_handle *h)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return log_oom(h->t->u);
	for (size_t i = 0; i < h->list->nr; i++)
		if (is_candidate(h, &h->list->uffds[i]))
			fprintf(f, "%s%d:%d", ftell(f) ? ", " : "", h->list->uffds[i].pid, h->list->uffds[i].fd);
	fclose(f);
	return fail(h->t->u, -ENOTUNIQ, "%d: has several userfaultfds (%s): choose one with --fd", h->t->pid, text);
}

/* The one userfaultfd that owns whatever is registered in the ranges, 0 if it is not just one. */
static int owner_of(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, uint64_t *ret)
{
	struct uffdctl_maps *maps;
	struct range_filter filter = { .glob_registered = true };
	struct segments segs = {};
	uint64_t ctx = 0;
	int r = handle_maps(h, &maps);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ranges->nr && r >= 0; i++)
		if (ranges->specs[i].kind != RANGE_ALL)
			r = range_resolve(h->t, maps, &ranges->specs[i], &filter, &segs);
	for (size_t i = 0; i < segs.nr; i++) {
		if (!segs.segs[i].owner)
			continue;
		if (ctx && segs.segs[i].owner != ctx) {
			ctx = 0;
			break;
		}
		ctx = segs.segs[i].owner;
	}
	segments_free(&segs);
	uffdctl_maps_free(maps);
	*ret = ctx;
	return r;
}

static int choose(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges)
{
	const struct uffdctl_uffd *first = NULL;
	bool several = false;
	uint64_t owner = 0;
	int r;

	for (size_t i = 0; i < h->list->nr; i++) {
		const struct uffdctl_uffd *d = &h->list->uffds[i];

		if (!is_candidate(h, d))
			continue;
		several |= first && (!d->ctx || d->ctx != first->ctx);
		first = first ?: d;
	}
	for (size_t i = 0; !first && i < h->list->nr; i++) {
		const struct uffdctl_uffd *d = &h->list->uffds[i];

		if (d->pid != h->t->pid)
			continue;
		if (!d->target_pid)
			return fail(h->t->u, -ESRCH, "%d: holds fd %d, which governs memory that is gone (an exit?)",
				    h->t->pid, d->fd);
		return fail(h->t->u, -EXDEV, "%d: holds fd %d, which governs the memory of process %d: give that PID",
			    h->t->pid, d->fd, d->target_pid);
	}
	if (!first)
		return fail(h->t->u, -ENOENT,
			    "%d: has no userfaultfd, and none in sight governs its memory (see uffdctl list; one in flight over a socket can't be taken)",
			    h->t->pid);
	if (several && h->list->source == UFFDCTL_SOURCE_BPF && ranges) {
		r = owner_of(h, ranges, &owner);
		if (r < 0)
			return r;
	}
	if (several && !owner)
		return fail_several(h);
	if (first->ctx)
		first = best_of(h, several ? list_ctx(h->list, owner) : first->ctx);
	/* The owner is one that nobody in sight holds. */
	if (!first)
		return fail_several(h);
	h->pid = first->pid;
	h->fd = first->fd;
	return 0;
}

static int take(struct uffdctl_handle *h)
{
	struct uffdctl *u = h->t->u;
	_cleanup_close_ int other = -1;
	char path[64];
	int r = 0;

	if (h->pid != h->t->pid)
		r = pidfd_open_process(h->pid, &other);
	if (r >= 0)
		r = pidfd_take_fd(h->pid, other >= 0 ? other : h->t->pidfd, h->fd, &h->uffd);
	/* Whatever is not found any more, its end or its exec is the reason to tell. */
	if (r < 0 && target_check(h->t) < 0)
		return -ESRCH;
	if (r == -EBADF)
		return fail(u, r, "%d: has no descriptor %d (see uffdctl list %d)", h->pid, h->fd, h->pid);
	if (r == -EPERM)
		return fail(u, r,
			    "%d: pidfd_getfd of fd %d: %s (needs ptrace access to the process: CAP_SYS_PTRACE, or the same user, if the process is dumpable, and Yama's consent)",
			    h->pid, h->fd, strerror(-r));
	if (r == -EOPNOTSUPP)
		return fail(u, r,
			    "%d: fd %d: the process's first thread has ended, and a descriptor can be taken from another since Linux 6.9 only: name one that another process holds, with --fd=PID:FD (see uffdctl list %d)",
			    h->pid, h->fd, h->pid);
	if (r < 0)
		return fail(u, r, "%d: pidfd_getfd of fd %d: %s", h->pid, h->fd, strerror(-r));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", h->uffd);
	if (!proc_is_uffd(AT_FDCWD, path))
		return fail(u, -EBADF, "%d: fd %d is no userfaultfd (see uffdctl list %d)", h->pid, h->fd, h->pid);
	return 0;
}

int handle_fdinfo(const struct uffdctl_handle *h, struct uffd_fdinfo *ret)
{
	char path[64], buf[1024];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", h->uffd);
	r = proc_read(AT_FDCWD, path, buf, sizeof(buf));
	return r < 0 ? r : fdinfo_parse(buf, ret);
}

static int check_handshake(struct uffdctl_handle *h, unsigned int flags)
{
	struct uffdctl *u = h->t->u;
	struct uffd_fdinfo info;
	int r = handle_fdinfo(h, &info);

	if (r < 0)
		return fail(u, r, "/proc/self/fdinfo/%d: %s", h->uffd, strerror(-r));
	h->features = info.features;
	if (info.handshake)
		return 0;
	if (flags & UFFDCTL_HANDSHAKE_DRY)
		return 0;
	if (!(flags & UFFDCTL_HANDSHAKE))
		return fail(u, -EPROTO,
			    "%d: fd %d never had its handshake (UFFDIO_API): nothing can be registered on it yet, and ours would make the process's own fail; uffdctl register --handshake insists",
			    h->pid, h->fd);
	log_warning(u, "%d: fd %d: issuing UFFDIO_API without features; the process's own will fail with EINVAL",
		    h->pid, h->fd);
	r = uffd_handshake(h->uffd, 0, NULL);
	return r < 0 ? fail(u, r, "%d: fd %d: UFFDIO_API: %s", h->pid, h->fd, strerror(-r)) : 0;
}

/* With the very descriptor in our own table, the kernel tells which userfaultfd it is. */
static int identify(struct uffdctl_handle *h)
{
	struct ev_file ev = {};
	struct iter *it;
	struct ev_task task;
	int r;

	if (h->list->source != UFFDCTL_SOURCE_BPF)
		return 0;
	r = iter_get(h->t->u, &it);
	if (r >= 0)
		r = iter_find_fd(it, getpid(), h->uffd, &ev);
	if (r >= 0)
		r = iter_find_task(it, h->t->pid, &task);
	/* After an exec it would seem to be another's, and when it is gone there is no task. */
	if (target_check(h->t) < 0)
		return -ESRCH;
	if (r < 0)
		return fail(h->t->u, r, "%d: fd %d: BPF iterator: %s", h->pid, h->fd, strerror(-r));
	if (ev.mm != task.mm)
		return fail(h->t->u, -EXDEV,
			    "%d: fd %d governs the memory of another process (TARGET_PID in uffdctl list): give that PID",
			    h->pid, h->fd);
	h->uffd_id = ev.ctx;
	return 0;
}

UFFDCTL_EXPORT int uffdctl_handle_open(struct uffdctl_target *t, pid_t pid, int fd, const struct uffdctl_ranges *ranges,
				       unsigned int flags, struct uffdctl_handle **ret)
{
	struct uffdctl_handle *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return log_oom(t->u);
	*h = (struct uffdctl_handle){ .t = t, .uffd = -1, .pid = pid ?: t->pid, .fd = fd };
	r = uffdctl_list(t->u, UFFDCTL_SOURCE_AUTO, NULL, 0, &h->list);
	if (r >= 0 && fd < 0)
		r = choose(h, ranges);
	if (r >= 0)
		r = take(h);
	if (r >= 0)
		r = check_handshake(h, flags);
	if (r >= 0)
		r = identify(h);
	if (r < 0) {
		uffdctl_handle_close(h);
		return r;
	}
	log_debug(t->u, "%d: using fd %d of process %d", t->pid, h->fd, h->pid);
	*ret = h;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_handle_close(struct uffdctl_handle *h)
{
	if (!h)
		return;
	cleanup_close(&h->uffd);
	for (size_t i = 0; i < h->nr_others; i++)
		close(h->others[i]);
	free(h->others);
	uffdctl_list_free(h->list);
	free(h);
}

UFFDCTL_EXPORT pid_t uffdctl_handle_pid(const struct uffdctl_handle *h)
{
	return h->pid;
}

UFFDCTL_EXPORT int uffdctl_handle_fd(const struct uffdctl_handle *h)
{
	return h->fd;
}

enum owner handle_owner(const struct uffdctl_handle *h, const struct uffdctl_vma *v, uint64_t ctx)
{
	if (!v->modes && !ctx)
		return OWNER_NONE;
	return !h->uffd_id || ctx == h->uffd_id ? OWNER_US : OWNER_OTHER;
}

char *handle_other_owner(const struct uffdctl_handle *h, const struct uffdctl_vma *v)
{
	_cleanup_free_ char *holders = list_holders(h->list, v->ctx);
	char *text;

	return asprintf(&text, "registered on another userfaultfd (%s)", holders ? holders : "?") < 0 ? NULL : text;
}

int handle_maps(struct uffdctl_handle *h, struct uffdctl_maps **ret)
{
	return uffdctl_maps(h->t, h->list->source, UFFDCTL_MAPS_ALL | MAPS_ANY_FLAGS, h->list, ret);
}

char *handle_describe(const struct uffdctl_handle *h)
{
	char *text;
	int n = h->pid == h->t->pid ? asprintf(&text, "fd %d", h->fd) : asprintf(&text, "fd %d of %d", h->fd, h->pid);

	return n < 0 ? NULL : text;
}

int handle_has_reader(const struct uffdctl_handle *h)
{
	static const struct timespec pause = { .tv_nsec = 5 * 1000L * 1000 };
	struct uffd_fdinfo info;
	struct ev_file ev;
	struct iter *it;
	bool delivered = false;
	int r;

	if (!h->uffd_id)
		return -EOPNOTSUPP;
	/* A handler that is at work does not wait just then: look more than once. */
	for (int i = 0; i < 8; i++) {
		r = iter_get(h->t->u, &it);
		if (r >= 0)
			r = iter_find_fd(it, getpid(), h->uffd, &ev);
		if (r >= 0)
			r = handle_fdinfo(h, &info);
		if (r < 0)
			return r;
		if (ev.waits)
			return HANDLE_WAITS;
		delivered |= info.total > info.pending;
		nanosleep(&pause, NULL);
	}
	return delivered ? HANDLE_DELIVERED : 0;
}
