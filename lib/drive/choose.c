// SPDX-License-Identifier: LGPL-2.1-or-later
/* Chooses the userfaultfd for an action, if the user names none. */
#include <errno.h>

#include "lib/drive/choose.h"
#include "lib/log.h"

/* The first candidate, and whether other candidates are, or may be, another userfaultfd. */
static const struct uffdctl_uffd *first_candidate(const struct uffdctl_handle *h, bool *several)
{
	const struct uffdctl_uffd *first = NULL;

	*several = false;
	for (size_t i = 0; i < h->list->nr; i++) {
		const struct uffdctl_uffd *d = &h->list->uffds[i];

		*several |= first && (!d->ctx || d->ctx != first->ctx);
		first = first ?: d;
	}
	return first;
}

/* Where several processes hold it, the target's own descriptor comes first: it lives as long as the target. */
static const struct uffdctl_uffd *best_of(const struct uffdctl_handle *h, uint32_t ctx)
{
	const struct uffdctl_uffd *best = NULL;

	for (size_t i = 0; i < h->list->nr; i++) {
		const struct uffdctl_uffd *d = &h->list->uffds[i];

		if (d->ctx == ctx && (!best || (best->pid != h->t->pid && d->pid == h->t->pid)))
			best = d;
	}
	return best;
}

/* It may hold one that governs other memory. */
static int fail_none(struct uffdctl_handle *h)
{
	const struct uffdctl_list *all = handle_named(h);

	if (!all)
		return -ENOENT;
	for (size_t i = 0; i < all->nr; i++) {
		const struct uffdctl_uffd *d = &all->uffds[i];

		if (d->pid != h->t->pid)
			continue;
		if (!d->target_pid)
			return fail(h->t->u, -ESRCH,
				    "%d: holds fd %d, but the process whose memory it governs has ended, has another program, or is in another PID namespace",
				    h->t->pid, d->fd);
		return fail(h->t->u, -EXDEV, "%d: holds fd %d, which governs the memory of process %d: give that PID",
			    h->t->pid, d->fd, d->target_pid);
	}
	return fail(h->t->u, -ENOENT,
		    "%d: has no userfaultfd, and no visible process holds one for its memory (see uffdctl list; a descriptor in flight over a socket can't be taken)",
		    h->t->pid);
}

static bool is_any(const struct uffdctl_uffd *d, const void *arg)
{
	(void)d, (void)arg;
	return true;
}

static int fail_several(struct uffdctl_handle *h)
{
	_cleanup_free_ char *text = list_name(h->list, is_any, NULL);

	return text ? fail(h->t->u, -ENOTUNIQ, "%d: has several userfaultfds (%s): choose one with --fd=PID:FD",
			   h->t->pid, text)
		    : log_oom(h->t->u);
}

/* The owner of everything that is registered there; 0 if there is not exactly one. */
static uint64_t only_owner(const struct segments *segs)
{
	uint64_t owner = 0;

	for (size_t i = 0; i < segs->nr; i++) {
		uint64_t next = segs->segs[i].owner;

		if (next && owner && next != owner)
			return 0;
		if (next)
			owner = next;
	}
	return owner;
}

/*
 * Do not keep these results for the action: the memory is not locked yet, and the holder of the lock may change the
 * registered modes.
 */
static int find_owner(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, uint64_t *ret)
{
	struct range_filter filter = { .glob_registered = true };
	struct segments segs = {};
	struct uffdctl_maps *maps;
	int r = handle_maps(h, &maps);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ranges->nr && r >= 0; i++)
		if (ranges->specs[i].kind != RANGE_ALL)
			r = range_resolve(h->t, maps, &ranges->specs[i], &filter, &segs);
	*ret = only_owner(&segs);
	segments_free(&segs);
	uffdctl_maps_free(maps);
	return r;
}

int choose_uffd(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, const struct uffdctl_uffd **ret)
{
	const struct uffdctl_uffd *first;
	uint64_t owner = 0;
	bool several;
	int r = handle_look(h, true);

	if (r < 0)
		return r;
	first = first_candidate(h, &several);
	if (!first)
		return fail_none(h);
	if (several && h->source == UFFDCTL_SOURCE_BPF && ranges) {
		r = find_owner(h, ranges, &owner);
		if (r < 0)
			return r;
	}
	if (several && !owner)
		return fail_several(h);
	if (first->ctx)
		first = best_of(h, several ? list_ctx(h->list, owner) : first->ctx);
	if (!first)
		return fail(h->t->u, -ENOENT,
			    "%d: the ranges are registered on a userfaultfd that no visible process holds", h->t->pid);
	*ret = first;
	return 0;
}

int choose_has_any(struct uffdctl_handle *h)
{
	int r = handle_look(h, true);

	return r < 0 ? r : h->list->nr != 0;
}

/* "all" is left to the action. */
static int resolve_first(struct uffdctl_handle *h, const struct uffdctl_maps *maps, const struct uffdctl_ranges *ranges)
{
	struct range_filter filter = { .glob_registered = true };
	struct segments segs = {};
	int r = 0;

	for (size_t i = 0; i < ranges->nr; i++) {
		r = ranges->specs[i].kind == RANGE_ALL ? 0
						       : range_resolve(h->t, maps, &ranges->specs[i], &filter, &segs);
		if (r >= 0)
			break;
	}
	segments_free(&segs);
	return r;
}

int choose_check_ranges(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges)
{
	struct uffdctl_maps *maps;
	int r = ranges ? handle_maps(h, &maps) : 0;

	if (r < 0 || !ranges)
		return r;
	/* What is wrong with some of them, the action says. */
	h->t->u->silent = true;
	r = resolve_first(h, maps, ranges);
	h->t->u->silent = false;
	if (r < 0)
		r = resolve_first(h, maps, ranges);
	uffdctl_maps_free(maps);
	return r;
}
