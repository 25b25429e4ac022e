// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: where the contents of each segment are. */
#include <errno.h>
#include <inttypes.h>

#include "lib/drive/serve_image.h"
#include "lib/drive/serve_regions.h"
#include "lib/log.h"

struct placing {
	struct uffdctl_serve *s;
	const struct segments *segs;
	uint64_t *froms;  /* parallel to them */
	size_t nr_mapped; /* how many of them are a map's: the first ones */
};

struct serve_image *image_of(const struct uffdctl_serve *s, const struct segment *seg)
{
	size_t at = seg->spec - s->ranges.specs;

	for (size_t i = 1; i < s->nr_images; i++) {
		if (at < s->images[i].map->ranges->nr)
			return &s->images[i];
		at -= s->images[i].map->ranges->nr;
	}
	return s->images;
}

/* ---- offsets ---- */

static int objection(const struct uffdctl_serve *s, const struct segment *seg, const char *text)
{
	return fail(s->h->t->u, -EINVAL, "%d: %" PRIx64 "-%" PRIx64 ": %s", s->h->t->pid, seg->range.start,
		    seg->range.end, text);
}

/* What "all" or a glob selects may be less next time: then all behind it would get other contents. */
static int check_sequence(const struct uffdctl_serve *s, const struct segment *seg, const struct segment *before)
{
	if (!before || before->range.end == seg->range.start || seg->spec->kind == RANGE_ADDRESS ||
	    seg->spec->kind == RANGE_PAGE || seg->spec->kind == RANGE_SYMBOL)
		return 0;
	return objection(
		s, seg,
		"there are several anonymous mappings, and so it is not certain which of them gets which contents: give each as START-END, in the order of the contents");
}

/* A page of a file is found at its offset in the file; anonymous memory uses the contents in sequence. */
static int find_offsets(const struct placing *p, const struct serve_image *image)
{
	bool files = false, has_image = image->source != UFFDCTL_SERVE_ZERO && image->source != UFFDCTL_SERVE_KEEP;
	const struct segment *before = NULL;
	uint64_t at = 0;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < p->segs->nr; i++) {
		const struct segment *seg = &p->segs->segs[i];

		if (image_of(p->s, seg) != image)
			continue;
		if (seg->vma->inode) {
			files = true;
			p->froms[i] = vma_offset(seg->vma, seg->range.start);
			continue;
		}
		p->froms[i] = at;
		at += range_len(seg->range);
		r = has_image ? check_sequence(p->s, seg, before) : 0;
		before = seg;
	}
	if (r >= 0 && files && before && has_image)
		r = objection(
			p->s, before,
			"anonymous memory takes the contents in sequence, mapped files take them by their offsets: serve them from one image only if it is one kind");
	return r;
}

/* ---- cutting ---- */

/* The first segment of a map in a range; NULL: none. */
static const struct segment *find_mapped(const struct placing *p, struct uffdctl_range r)
{
	const struct segment *first = NULL;

	for (size_t i = 0; i < p->nr_mapped; i++) {
		const struct segment *seg = &p->segs->segs[i];

		if (seg->range.start < r.end && seg->range.end > r.start &&
		    (!first || seg->range.start < first->range.start))
			first = seg;
	}
	return first;
}

struct pieces {
	struct segments segs;
	uint64_t *froms;
	size_t nr_froms, alloc_froms;
};

static int add_piece(struct pieces *to, const struct placing *p, size_t i, struct uffdctl_range r)
{
	const struct segment *seg = &p->segs->segs[i];
	struct segment *piece = vec_add(to->segs.segs, to->segs.nr, to->segs.alloc);
	uint64_t *from = vec_add(to->froms, to->nr_froms, to->alloc_froms);
	struct serve_image *image = image_of(p->s, seg);

	if (!piece || !from)
		return log_oom(p->s->h->t->u);
	*piece = *seg;
	piece->range = r;
	*from = p->froms[i] + (r.start - seg->range.start);
	image->need = MAX(image->need, *from + range_len(r));
	return 0;
}

static int cut(struct pieces *to, const struct placing *p, size_t i)
{
	const struct segment *seg = &p->segs->segs[i], *hole;
	struct uffdctl_range left = seg->range;
	int r = 0;

	while (r >= 0 && left.start < left.end) {
		uint64_t end;

		hole = i < p->nr_mapped ? NULL : find_mapped(p, left);
		end = hole ? hole->range.start : left.end;
		if (left.start < end)
			r = add_piece(to, p, i, (struct uffdctl_range){ left.start, end });
		left.start = hole ? hole->range.end : left.end;
	}
	return r;
}

int images_place(struct uffdctl_serve *s, struct plan *plan, uint64_t **ret)
{
	struct placing p = { s, &plan->segs, calloc(plan->segs.nr + 1, sizeof(uint64_t)), 0 };
	struct pieces to = {};
	int r = p.froms ? 0 : log_oom(s->h->t->u);

	while (p.nr_mapped < plan->segs.nr && image_of(s, &plan->segs.segs[p.nr_mapped])->map)
		p.nr_mapped++;
	if (r >= 0 && s->opts.nr_regions)
		r = serve_regions_find(s, &plan->segs, p.froms);
	for (size_t i = 0; r >= 0 && !s->opts.nr_regions && i < s->nr_images; i++)
		r = find_offsets(&p, &s->images[i]);
	for (size_t i = 0; r >= 0 && i < plan->segs.nr; i++)
		r = cut(&to, &p, i);
	free(p.froms);
	segments_free(&plan->segs);
	plan->segs = to.segs;
	*ret = to.froms;
	return r;
}
