// SPDX-License-Identifier: LGPL-2.1-or-later
/* Aliases: mappings of a target that map the same pages of a file. */
#include <errno.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/inspect/alias.h"
#include "lib/util.h"

static int cmp_file(const struct uffdctl_vma *v, const struct uffdctl_vma *w)
{
	if (v->dev_major != w->dev_major)
		return v->dev_major < w->dev_major ? -1 : 1;
	if (v->dev_minor != w->dev_minor)
		return v->dev_minor < w->dev_minor ? -1 : 1;
	return v->inode == w->inode ? 0 : v->inode < w->inode ? -1 : 1;
}

static int cmp_index(const void *a, const void *b, void *arg)
{
	const struct uffdctl_maps *maps = arg;
	const struct uffdctl_vma *v = &maps->vmas[*(const size_t *)a], *w = &maps->vmas[*(const size_t *)b];
	int r = cmp_file(v, w);

	return r ? r : v->offset == w->offset ? 0 : v->offset < w->offset ? -1 : 1;
}

static uint64_t offset_end(const struct uffdctl_vma *v)
{
	return v->offset + range_len(v->range);
}

int alias_build(const struct uffdctl_maps *maps, struct alias_index *ret)
{
	struct alias_index idx = { .maps = maps };

	idx.order = calloc(maps->nr + 1, sizeof(*idx.order));
	idx.max_end = calloc(maps->nr + 1, sizeof(*idx.max_end));
	if (!idx.order || !idx.max_end) {
		alias_free(&idx);
		return -ENOMEM;
	}
	for (size_t i = 0; i < maps->nr; i++)
		if (maps->vmas[i].inode)
			idx.order[idx.nr++] = i;
	qsort_r(idx.order, idx.nr, sizeof(*idx.order), cmp_index, (void *)maps);
	for (size_t i = 0; i < idx.nr; i++) {
		const struct uffdctl_vma *v = &maps->vmas[idx.order[i]];

		idx.max_end[i] = offset_end(v);
		if (i && !cmp_file(v, &maps->vmas[idx.order[i - 1]]))
			idx.max_end[i] = MAX(idx.max_end[i], idx.max_end[i - 1]);
	}
	*ret = idx;
	return 0;
}

void alias_free(struct alias_index *idx)
{
	free(idx->order);
	free(idx->max_end);
	*idx = (struct alias_index){};
}

/* The first entry of the index that begins at or after offset in v's file, or belongs to a later file. */
static size_t lower_bound(const struct alias_index *idx, const struct uffdctl_vma *v, uint64_t offset)
{
	size_t lo = 0, hi = idx->nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct uffdctl_vma *w = &idx->maps->vmas[idx->order[mid]];
		int r = cmp_file(w, v);

		if (r < 0 || (r == 0 && w->offset < offset))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int alias_visit(const struct alias_index *idx, const struct uffdctl_vma *v, struct uffdctl_range range, alias_fn fn,
		void *arg)
{
	uint64_t start = vma_offset(v, range.start), end = start + range_len(range);

	for (size_t i = lower_bound(idx, v, end); i-- > 0;) {
		const struct uffdctl_vma *w = &idx->maps->vmas[idx->order[i]];
		struct uffdctl_range r;
		int ret;

		if (cmp_file(w, v) || idx->max_end[i] <= start)
			return 0;
		if (w == v || offset_end(w) <= start)
			continue;
		r.start = w->range.start + (MAX(start, w->offset) - w->offset);
		r.end = w->range.start + (MIN(end, offset_end(w)) - w->offset);
		ret = fn(w, r, arg);
		if (ret)
			return ret;
	}
	return 0;
}
