// SPDX-License-Identifier: LGPL-2.1-or-later
/* A second look at registered mappings while they are worked on: the target may change them at any time. */
#include <errno.h>

#include "iter.h"
#include "look.h"
#include "util.h"
#include "vmflags.h"

/* Where there are so many mappings that a look takes long, it holds for this many times as long. */
#define HOLDS 4

static int add_seen(const void *arg_ev, void *arg)
{
	struct look *look = arg;
	struct ev_vma *ev = vec_add(look->seen, look->nr, look->alloc);

	if (!ev)
		return -ENOMEM;
	*ev = *(const struct ev_vma *)arg_ev;
	return 0;
}

static int refresh(struct look *look, struct iter *it, pid_t pid)
{
	uint64_t worked;
	int r;

	if (look->took && now_ns(CLOCK_MONOTONIC) - look->began < HOLDS * look->took)
		return 0;
	look->began = now_ns(CLOCK_MONOTONIC);
	/* Time that we were kept from the CPU, or stopped, makes it old and no dearer. */
	worked = now_ns(CLOCK_THREAD_CPUTIME_ID);
	look->nr = 0;
	r = iter_vmas(it, pid, true, add_seen, look);
	look->took = r < 0 ? 0 : now_ns(CLOCK_THREAD_CPUTIME_ID) - worked;
	return r;
}

static const struct ev_vma *find(const struct look *look, uint64_t addr)
{
	size_t lo = 0, hi = look->nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (look->seen[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < look->nr && look->seen[lo].start <= addr ? &look->seen[lo] : NULL;
}

static int look_by_bpf(struct look *look, struct uffdctl_handle *h, struct uffdctl_vma *v, struct uffdctl_range *range)
{
	const struct vmflags *flags;
	const struct ev_vma *ev;
	struct iter *it;
	uint64_t modes;
	int r;

	r = iter_get(h->t->u, &it);
	if (r >= 0)
		r = context_vmflags(h->t->u, it, &flags);
	if (r >= 0)
		r = refresh(look, it, h->t->pid);
	if (r < 0)
		return r;
	ev = find(look, range->start);
	if (!ev || ev->ctx != h->ctx || (ev->page_size ?: base_page_size()) != v->page_size)
		return -ENOENT;
	modes = vmflags_modes(flags, ev->vm_flags);
	if ((modes ^ v->modes) & ~(uint64_t)UFFDCTL_MODE_WP)
		return -ENOENT;
	v->modes = modes;
	range->end = MIN(range->end, ev->end);
	return 0;
}

int look_again(struct look *look, struct uffdctl_handle *h, struct uffdctl_vma *v, struct uffdctl_range *range)
{
	int r = 0, still;

	if (h->ctx) {
		pthread_mutex_lock(&look->lock);
		r = look_by_bpf(look, h, v, range);
		pthread_mutex_unlock(&look->lock);
	}
	/* Of a process that is gone, this says so. */
	still = vma_is_still(h->t, v, *range);
	return still < 0 ? still : r;
}

void look_free(struct look *look)
{
	free(look->seen);
}
