// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: memory that has grown, and so is registered with what it has grown from. */
#include <errno.h>
#include <fcntl.h>

#include "lib/drive/serve_grown.h"
#include "lib/drive/serve_memory.h"
#include "lib/drive/serve_task.h"
#include "lib/inspect/maps.h"
#include "lib/kernel/procmap.h"

/* ---- what has grown ---- */

/* From the start on, a neighbour that was registered then bounds it. */
struct uffdctl_range grown_range(const struct uffdctl_serve *s, struct uffdctl_range own, struct uffdctl_range mapping)
{
	const struct uffdctl_maps *before = s->plan.maps;
	struct uffdctl_range r = own;

	if (!before || mapping.start > own.start || mapping.end < own.end)
		return own;
	r = mapping;
	for (size_t i = 0; i < before->nr; i++) {
		const struct uffdctl_vma *v = &before->vmas[i];

		if (!v->modes)
			continue;
		/* One that has a part of ours has not grown where ours ends within it. */
		if (v->range.start < own.start && v->range.end > r.start)
			r.start = MIN(v->range.end, own.start);
		if (v->range.end > own.end && v->range.start < r.end)
			r.end = MAX(v->range.start, own.end);
	}
	return r;
}

struct search {
	uint64_t addr;
	struct uffdctl_range found;
};

static int note_mapping(const struct maps_line *l, void *arg)
{
	struct search *s = arg;

	if (l->range.end <= s->addr)
		return 0;
	if (l->range.start <= s->addr)
		s->found = l->range;
	return 1;
}

/* Empty: there is none, or the process is gone. */
static struct uffdctl_range mapping_at(const struct uffdctl_serve *s, uint64_t addr)
{
	int fd = openat(s->h->t->procfd, "maps", O_RDONLY | O_CLOEXEC);
	struct search search = { .addr = addr };
	struct maps_line l = {};
	int r = fd < 0 ? -errno : procmap_query(fd, addr, NULL, &l, NULL);

	if (r >= 0)
		search.found = l.range;
	if (r == -ENOTTY)
		proc_each_mapping(fd, note_mapping, &search);
	else
		cleanup_close(&fd);
	return search.found;
}

/* The part from which memory has grown to an address; NULL: it has not. */
static const struct serve_part *grown_from(const struct serve_memory *m, uint64_t addr)
{
	struct uffdctl_range mapping = mapping_at(m->s, addr);

	for (size_t i = 0; i < m->nr; i++) {
		struct uffdctl_range r = grown_range(m->s, m->parts[i]->part->seg.range, mapping);

		if (addr >= r.start && addr < r.end)
			return m->parts[i];
	}
	return NULL;
}

/* ---- serving it ---- */

static void choose(struct task *t)
{
	if (t->kind == UFFDCTL_KIND_WP)
		t->op = SERVE_UNPROTECT_WP;
	else if (t->kind == UFFDCTL_KIND_RWP)
		t->op = SERVE_UNPROTECT_RWP;
	else
		t->op = t->kind == UFFDCTL_KIND_MINOR ? SERVE_CONTINUE : SERVE_COPY;
	t->zeros = t->kind == UFFDCTL_KIND_MISSING;
}

bool grown_serve(struct serve_worker *w, enum uffdctl_kind kind, uint64_t addr)
{
	struct serve_memory *m = w->m;
	struct serve_part part = { .part = &part.own };
	struct task t = { .p = &part, .kind = kind };
	const struct serve_part *from;

	from = m->s->serves_grown ? grown_from(m, addr) : NULL;
	if (!from)
		return false;
	t.range = (struct uffdctl_range){ addr, addr + from->vma.page_size };
	part_set(&part, from, t.range);
	part.store = NULL;
	part.image = NULL;
	choose(&t);
	task_run(w, t);
	return true;
}
