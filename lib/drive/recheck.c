// SPDX-License-Identifier: LGPL-2.1-or-later
/* Checks whether registered mappings are unchanged: the target may change them at any time while they are worked on. */
#include <errno.h>
#include <fcntl.h>

#include "lib/drive/recheck.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/procmap.h"
#include "lib/kernel/vmflags.h"
#include "lib/util.h"

/* ---- the owner ---- */

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

/* If the process changes its mappings all the time, search all of them: that walk waits for the lock. */
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

/* @now: out, the mapping at range->start; range is cut where it ends */
static int check_owner(struct uffdctl_handle *h, struct uffdctl_vma *v, struct uffdctl_range *range, struct ev_vma *now)
{
	const struct vmflags *flags;
	struct iter *it;
	uint64_t modes;
	int r;

	r = iter_get(h->t->u, &it);
	if (r >= 0)
		r = vmflags_get(h->t->u, it, &flags);
	if (r >= 0)
		r = find(it, h->t->pid, range->start, now);
	if (r < 0)
		return r;
	if (now->ctx != h->uffd_id || (now->page_size ?: base_page_size()) != v->page_size)
		return -ENOENT;
	modes = vmflags_modes(flags, now->vm_flags);
	if ((modes ^ v->modes) & ~(uint64_t)UFFDCTL_MODE_WP)
		return -ENOENT;
	v->modes = modes;
	range->end = MIN(range->end, now->end);
	return 0;
}

/* ---- the file ---- */

static bool shows_same(const struct uffdctl_vma *v, const struct maps_line *l)
{
	return l->perms[3] == v->perms[3] && vma_has_file(v, l->dev_major, l->dev_minor, l->inode) &&
	       (!v->inode || l->offset - l->range.start == v->offset - v->range.start);
}

/* Likewise, from BPF. On a stacked file system it has the numbers of another file, and this is false. */
static bool is_same(const struct uffdctl_vma *v, const struct ev_vma *now)
{
	return !!(now->vm_flags & VM_MAYSHARE) == vma_is_shared(v) &&
	       vma_has_file(v, now->dev >> 20, now->dev & 0xfffff, now->inode) &&
	       (!v->inode || now->offset - now->start == v->offset - v->range.start);
}

/* It may have been split meanwhile, but not moved or replaced. -ENOTTY: the kernel has no PROCMAP_QUERY. */
static int is_still_by_query(struct uffdctl_handle *h, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	struct maps_line l;
	int r;

	for (; range.start < range.end; range.start = l.range.end) {
		r = procmap_query(h->t->mapsfd, range.start, NULL, &l, NULL);
		if (r < 0)
			return r;
		if (!shows_same(v, &l))
			return -ENOENT;
	}
	return 0;
}

/* 0: unchanged. Any other result: the caller uses /proc/PID/maps. */
static int is_still_by_bpf(struct uffdctl_handle *h, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	struct ev_vma_at at;
	struct iter *it;
	int r = iter_get(h->t->u, &it);

	while (r >= 0 && range.start < range.end) {
		r = iter_vma_at(it, h->t->pid, range.start, &at);
		if (r < 0)
			return r;
		if (!is_same(v, &at.vma))
			return -ENOENT;
		range.start = at.vma.end;
	}
	return r;
}

struct line_walk {
	const struct uffdctl_vma *v;
	struct uffdctl_range left;
};

#define ALL_SAME 1

static int check_line(const struct maps_line *l, void *arg)
{
	struct line_walk *walk = arg;

	if (l->range.end <= walk->left.start)
		return 0;
	if (l->range.start > walk->left.start || !shows_same(walk->v, l))
		return -ENOENT;
	walk->left.start = l->range.end;
	return walk->left.start < walk->left.end ? 0 : ALL_SAME;
}

static int is_still_by_maps(struct uffdctl_handle *h, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	struct line_walk walk = { v, range };
	int fd = openat(h->t->procfd, "maps", O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	r = proc_each_mapping(fd, check_line, &walk);
	return r == ALL_SAME ? 0 : r < 0 ? r : -ENOENT;
}

int recheck_file(struct recheck *rc, struct uffdctl_handle *h, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	int r = is_still_by_query(h, v, range);

	if (r != -ENOTTY)
		return r;
	pthread_mutex_lock(&rc->lock);
	r = is_still_by_bpf(h, v, range);
	pthread_mutex_unlock(&rc->lock);
	return r < 0 ? is_still_by_maps(h, v, range) : 0;
}

/* ---- both ---- */

int recheck_mapping(struct recheck *rc, struct uffdctl_handle *h, struct uffdctl_vma *v, struct uffdctl_range *range)
{
	struct ev_vma now;
	int r = 0, still;

	if (h->uffd_id) {
		pthread_mutex_lock(&rc->lock);
		r = check_owner(h, v, range, &now);
		pthread_mutex_unlock(&rc->lock);
		if (r >= 0 && is_same(v, &now))
			return 0;
	}
	still = recheck_file(rc, h, v, *range);
	r = still < 0 ? still : r;
	/* When a process ends, its mappings go first. */
	return r == -ENOENT && target_is_gone(h->t) ? -ESRCH : r;
}
