// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: a bitmap says which pages in the page cache are stale: only these are filled. */
#include <errno.h>
#include <inttypes.h>

#include "lib/drive/serve_stale.h"
#include "lib/drive/serve_store.h"
#include "lib/log.h"

static uint64_t bytes_for(uint64_t image_bytes, uint64_t page)
{
	return (image_bytes + page * 8 - 1) / (page * 8);
}

/* Programs write a bitmap in whole words. One that is longer is of another image, or of pages of another size. */
static int check_part(struct uffdctl_serve *s, const struct serve_part *p)
{
	const struct segment *seg = &p->part->seg;
	uint64_t page = p->vma.page_size, least = bytes_for(p->part->from + range_len(seg->range), page);
	uint64_t most = round_up(bytes_for(p->image->contents.size, page), 8);

	if (!(p->vma.modes & UFFDCTL_MODE_MINOR))
		return fail(s->h->t->u, -EINVAL,
			    "%d: %" PRIx64 "-%" PRIx64
			    ": not registered for minor: a bitmap of stale pages is about pages that are in the page cache",
			    s->h->t->pid, seg->range.start, seg->range.end);
	if (s->opts.stale_bytes < least || (p->image->contents.size && s->opts.stale_bytes > most))
		return fail(s->h->t->u, -EINVAL,
			    "%d: the bitmap of stale pages has %" PRIu64
			    " bytes, and for this image, with a bit for each %" PRIu64 " bytes, it must have %" PRIu64
			    " to %" PRIu64,
			    s->h->t->pid, s->opts.stale_bytes, page, least, MAX(least, most));
	return 0;
}

static bool is_marked(const struct uffdctl_serve *s, const struct serve_part *p, uint64_t addr)
{
	uint64_t i = (p->part->from + (addr - p->part->seg.range.start)) / p->vma.page_size;

	return s->opts.stale[i / 8] >> i % 8 & 1;
}

/* Returns how many bytes are marked and can't be filled, since the process has them mapped. */
static uint64_t apply_to(struct uffdctl_serve *s, const struct serve_part *p)
{
	uint64_t page = p->vma.page_size, addr = p->part->seg.range.start, mapped = 0;

	for (; addr < p->part->seg.range.end; addr += page) {
		bool is_new = part_get(p, addr) == SERVE_NEW;

		if (is_marked(s, p, addr)) {
			mapped += is_new ? 0 : page;
		} else if (is_new) {
			*part_state(p, addr) = SERVE_DONE;
			s->already_bytes += page;
		}
	}
	return mapped;
}

int stale_apply(struct uffdctl_serve *s)
{
	const struct serve_memory *m = s->memories;
	uint64_t mapped = 0;
	int r = 0;

	if (!s->opts.stale)
		return 0;
	for (size_t i = 0; r >= 0 && i < m->nr; i++)
		r = check_part(s, m->parts[i]);
	for (size_t i = 0; r >= 0 && i < m->nr; i++)
		mapped += apply_to(s, m->parts[i]);
	/* The next handler finds what the last one has filled. */
	if (r >= 0 && mapped && !s->opts.state)
		log_warning(s->h->t->u,
			    "%d: %" PRIu64
			    " bytes that are marked as stale are mapped by the process already, and are left as they are: they don't fault (see uffdctl zap)",
			    s->h->t->pid, mapped);
	return r;
}
