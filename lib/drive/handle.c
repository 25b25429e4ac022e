// SPDX-License-Identifier: LGPL-2.1-or-later
/* A userfaultfd of a target, duplicated into our process. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "lib/drive/handle.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/proc.h"
#include "lib/log.h"
#include "lib/util.h"

int handle_fdinfo(const struct uffdctl_handle *h, struct uffd_fdinfo *ret)
{
	char path[64], buf[1024];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", h->uffd);
	r = proc_read(AT_FDCWD, path, buf, sizeof(buf));
	return r < 0 ? r : fdinfo_parse(buf, ret);
}

UFFDCTL_EXPORT void uffdctl_handle_close(struct uffdctl_handle *h)
{
	if (!h)
		return;
	cleanup_close(&h->uffd);
	for (size_t i = 0; i < h->lock.nr_others; i++)
		close(h->lock.others[i]);
	free(h->lock.others);
	uffdctl_list_free(h->list);
	uffdctl_list_free(h->named);
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

enum owner handle_owner(const struct uffdctl_handle *h, const struct uffdctl_vma *v, uint64_t owner)
{
	if (!v->modes && !owner)
		return OWNER_NONE;
	return !h->uffd_id || owner == h->uffd_id ? OWNER_US : OWNER_OTHER;
}

int handle_look(struct uffdctl_handle *h, bool all)
{
	struct uffdctl_list *list;
	int r;

	if (h->list && (h->list_has_all || !all))
		return 0;
	r = list_of_memory(h->t->u, h->t->pid, h->mm, all, &list);
	if (r < 0)
		return r;
	uffdctl_list_free(h->list);
	h->list = list;
	h->list_has_all = all;
	return 0;
}

const struct uffdctl_list *handle_named(struct uffdctl_handle *h)
{
	if (!h->named)
		list_open(h->t->u, h->source, false, &h->named);
	return h->named;
}

char *handle_other_owner(struct uffdctl_handle *h, uint64_t owner)
{
	const struct uffdctl_list *all = handle_named(h);
	_cleanup_free_ char *holders = all ? list_holders(all, list_ctx(all, owner)) : NULL;
	char *text;

	return asprintf(&text, "registered on another userfaultfd (%s)", holders ? holders : "?") < 0 ? NULL : text;
}

int handle_maps(struct uffdctl_handle *h, struct uffdctl_maps **ret)
{
	return maps_read(h->t, h->source, UFFDCTL_MAPS_ALL | MAPS_ANY_FLAGS, NULL, ret);
}

char *handle_describe(const struct uffdctl_handle *h)
{
	char *text;
	int n;

	if (h->fd < 0)
		return strdup("the userfaultfd that is to be made");
	n = h->pid == h->t->pid ? asprintf(&text, "fd %d", h->fd) : asprintf(&text, "fd %d of %d", h->fd, h->pid);

	return n < 0 ? NULL : text;
}

int handle_reader(const struct uffdctl_handle *h)
{
	static const struct timespec pause = { .tv_nsec = 5 * 1000L * 1000 };
	struct uffd_fdinfo info;
	struct ev_file ev;
	struct iter *it;
	bool delivered = false;
	int r;

	if (!h->uffd_id)
		return -EOPNOTSUPP;
	/* A handler that is busy does not wait at that moment: look more than once. */
	for (int i = 0; i < 8; i++) {
		r = iter_get(h->t->u, &it);
		if (r >= 0)
			r = iter_find_fd(it, getpid(), h->uffd, &ev);
		if (r >= 0)
			r = handle_fdinfo(h, &info);
		if (r < 0)
			return r;
		if (ev.has_reader)
			return READER_WAITING;
		delivered |= info.total > info.pending;
		nanosleep(&pause, NULL);
	}
	return delivered ? READER_DELIVERED : READER_NONE;
}
