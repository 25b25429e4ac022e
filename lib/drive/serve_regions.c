// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: where the contents of a hand-over's regions are in the image. */
#include <errno.h>
#include <inttypes.h>

#include "lib/drive/serve_regions.h"
#include "lib/log.h"

static const struct uffdctl_handoff_region *region_of(const struct uffdctl_serve *s, struct uffdctl_range r)
{
	for (size_t i = 0; i < s->opts.nr_regions; i++) {
		const struct uffdctl_handoff_region *g = &s->opts.regions[i];

		if (r.start >= g->start && r.end <= g->start + g->size)
			return g;
	}
	return NULL;
}

int serve_regions_find(struct uffdctl_serve *s, const struct segments *segs, uint64_t *froms)
{
	for (size_t i = 0; i < segs->nr; i++) {
		const struct segment *seg = &segs->segs[i];
		const struct uffdctl_handoff_region *g = region_of(s, seg->range);

		if (!g)
			return fail(s->h->t->u, -EINVAL, "%d: %" PRIx64 "-%" PRIx64 ": lies in no region", s->h->t->pid,
				    seg->range.start, seg->range.end);
		if (g->page_size && g->page_size != seg->vma->page_size)
			return fail(s->h->t->u, -EINVAL,
				    "%d: %" PRIx64 "-%" PRIx64 ": the process says that its pages have %" PRIu64
				    " bytes, but they have %" PRIu64,
				    s->h->t->pid, seg->range.start, seg->range.end, g->page_size, seg->vma->page_size);
		froms[i] = g->offset + (seg->range.start - g->start);
	}
	return 0;
}
