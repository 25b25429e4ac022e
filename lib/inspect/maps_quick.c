// SPDX-License-Identifier: LGPL-2.1-or-later
/* The mappings of given addresses alone, asked for one by one. */
#include <errno.h>

#include "lib/inspect/maps_quick.h"
#include "lib/kernel/memory.h"
#include "lib/kernel/procmap.h"
#include "lib/log.h"

/* So many mappings are asked for; a range over more is better read with all. */
#define MAX_MAPPINGS 64

static int add_at(struct builder *b, uint64_t addr, uint64_t *ret_end)
{
	char name[PROCMAP_NAME_BYTES];
	struct uffdctl_vma *v;
	struct maps_line l;
	uint64_t page_size;
	int r = procmap_query(b->t->mapsfd, addr, name, &l, &page_size);

	if (r < 0 || b->m->nr == MAX_MAPPINGS)
		return r < 0 ? r : -E2BIG;
	v = vec_add(b->m->vmas, b->m->nr, b->vmas_alloc);
	if (!v)
		return -ENOMEM;
	*v = (struct uffdctl_vma){ .range = l.range, .page_size = page_size };
	*ret_end = l.range.end;
	return builder_fill(b, v, &l);
}

static int add_range(struct builder *b, const struct range_spec *spec)
{
	uint64_t addr = spec->range.start;
	int r = spec->kind == RANGE_ADDRESS || spec->kind == RANGE_PAGE ? 0 : -EOPNOTSUPP;

	while (r >= 0 && addr < spec->range.end)
		r = add_at(b, addr, &addr);
	return r;
}

static int by_start(const void *a, const void *b)
{
	const struct uffdctl_vma *v = a, *w = b;

	return v->range.start == w->range.start ? 0 : v->range.start < w->range.start ? -1 : 1;
}

/* False: a mapping changed between two questions, or its memory is not known. */
static bool tidy(struct uffdctl_maps *m)
{
	size_t nr = 0;

	if (m->nr)
		qsort(m->vmas, m->nr, sizeof(*m->vmas), by_start);
	for (size_t i = 0; i < m->nr; i++) {
		if (m->vmas[i].memory == UFFDCTL_MEMORY_UNKNOWN)
			return false;
		if (nr && m->vmas[nr - 1].range.start == m->vmas[i].range.start &&
		    m->vmas[nr - 1].range.end == m->vmas[i].range.end)
			continue;
		if (nr && m->vmas[nr - 1].range.end > m->vmas[i].range.start)
			return false;
		m->vmas[nr++] = m->vmas[i];
	}
	m->nr = nr;
	return true;
}

int maps_quick(struct uffdctl_target *t, const struct uffdctl_ranges *ranges, struct uffdctl_maps **ret)
{
	struct uffdctl_maps *m = calloc(1, sizeof(*m));
	struct builder b = { .t = t, .m = m };
	int r = m ? 0 : -ENOMEM;

	*ret = NULL;
	for (size_t i = 0; r >= 0 && i < ranges->nr; i++)
		r = add_range(&b, &ranges->specs[i]);
	if (r >= 0 && target_is_gone(t))
		r = -ESRCH;
	if (r >= 0) {
		memory_find(t->procfd, m->vmas, m->nr);
		m->source = UFFDCTL_SOURCE_PROC;
		if (tidy(m)) {
			*ret = m;
			return 0;
		}
	}
	uffdctl_maps_free(m);
	return r == -ENOMEM ? log_oom(t->u) : 0;
}
