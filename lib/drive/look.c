// SPDX-License-Identifier: LGPL-2.1-or-later
/* A second look at registered mappings while they are worked on: the target may change them at any time. */
#include <errno.h>
#include <sys/sysmacros.h>

#include "lib/drive/look.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/vmflags.h"
#include "lib/util.h"

struct search {
	uint64_t addr;
	struct ev_vma vma;
};

static bool is_found(const struct search *s)
{
	return s->vma.start <= s->addr && s->addr < s->vma.end;
}

static int keep_found(const void *arg_ev, void *arg)
{
	struct search *s = arg;

	s->vma = *(const struct ev_vma *)arg_ev;
	return is_found(s);
}

/* Of a process that changes mappings all the time, it is found among all: that way waits until it may look. */
static int find(struct iter *it, pid_t pid, uint64_t addr, struct ev_vma *ret)
{
	struct search s = { .addr = addr };
	struct ev_vma_at at = {};
	int r = iter_vma_at(it, pid, addr, &at);

	*ret = at.vma;
	if (r != -EBUSY)
		return r;
	r = iter_vmas(it, pid, true, keep_found, &s);
	*ret = s.vma;
	return r < 0 ? r : is_found(&s) ? 0 : -ENOENT;
}

static int check_owner(struct uffdctl_handle *h, struct uffdctl_vma *v, struct uffdctl_range *range)
{
	const struct vmflags *flags;
	struct ev_vma now;
	struct iter *it;
	uint64_t modes;
	int r;

	r = iter_get(h->t->u, &it);
	if (r >= 0)
		r = vmflags_get(h->t->u, it, &flags);
	if (r >= 0)
		r = find(it, h->t->pid, range->start, &now);
	if (r < 0)
		return r;
	if (now.ctx != h->ctx || (now.page_size ?: base_page_size()) != v->page_size)
		return -ENOENT;
	modes = vmflags_modes(flags, now.vm_flags);
	if ((modes ^ v->modes) & ~(uint64_t)UFFDCTL_MODE_WP)
		return -ENOENT;
	v->modes = modes;
	range->end = MIN(range->end, now.end);
	return 0;
}

/* Anything but 0 leaves it to /proc/PID/maps. */
static int is_still_by_bpf(struct uffdctl_handle *h, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	struct ev_vma_at at;
	struct iter *it;
	int r = iter_get(h->t->u, &it);

	while (r >= 0 && range.start < range.end) {
		r = iter_vma_at(it, h->t->pid, range.start, &at);
		if (r < 0)
			return r;
		/* The kernel's own numbering: 20 bits of the minor number. */
		if (at.inode != v->inode || at.dev != (v->dev_major << 20 | v->dev_minor))
			return -ENOENT;
		if (v->inode && at.offset - at.vma.start != v->offset - v->range.start)
			return -ENOENT;
		range.start = at.vma.end;
	}
	return r;
}

int look_is_still(struct look *look, struct uffdctl_handle *h, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	int r = vma_is_still(h->t, v, range);

	if (r != -ENOTTY)
		return r;
	pthread_mutex_lock(&look->lock);
	r = is_still_by_bpf(h, v, range);
	pthread_mutex_unlock(&look->lock);
	return r < 0 ? vma_is_still_by_maps(h->t, v, range) : 0;
}

int look_again(struct look *look, struct uffdctl_handle *h, struct uffdctl_vma *v, struct uffdctl_range *range)
{
	int r = 0, still;

	if (h->ctx) {
		pthread_mutex_lock(&look->lock);
		r = check_owner(h, v, range);
		pthread_mutex_unlock(&look->lock);
	}
	still = look_is_still(look, h, v, *range);
	r = still < 0 ? still : r;
	/* Of a process that ends, the mappings go first. */
	return r == -ENOENT && target_is_gone(h->t) ? -ESRCH : r;
}
