// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: a bitmap, in memory or a server's, says which pages in the page cache are stale: only these are filled. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/drive/nbd.h"
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
	char to[32] = "";

	if (!(p->vma.modes & UFFDCTL_MODE_MINOR))
		return fail(s->h->t->u, -EINVAL,
			    "%d: %" PRIx64 "-%" PRIx64
			    ": not registered for minor: a bitmap of stale pages is about pages that are in the page cache",
			    s->h->t->pid, seg->range.start, seg->range.end);
	if (s->dirty)
		return 0;
	if (s->opts.stale_bytes < least || (p->image->contents.size && s->opts.stale_bytes > most)) {
		if (most > least)
			snprintf(to, sizeof(to), " to %" PRIu64, most);
		return fail(s->h->t->u, -EINVAL,
			    "%d: the bitmap of stale pages has %" PRIu64
			    " bytes, and for this image, with a bit for each %" PRIu64 " bytes, it must have %" PRIu64
			    "%s",
			    s->h->t->pid, s->opts.stale_bytes, page, least, to);
	}
	return 0;
}

static bool is_marked(const struct uffdctl_serve *s, const struct serve_part *p, uint64_t addr)
{
	uint64_t at = p->part->from + (addr - p->part->seg.range.start), unit = base_page_size();
	uint64_t i = at / (s->dirty ? unit : p->vma.page_size), nr = s->dirty ? p->vma.page_size / unit : 1;
	const uint8_t *bits = s->dirty ?: s->opts.stale;

	while (nr && !(bits[i / 8] >> i % 8 & 1))
		i++, nr--;
	return nr;
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

/* ---- what a server says ---- */

#define DIRTY_PREFIX "qemu:dirty-bitmap:"
#define IS_DIRTY 1
#define MAX_PAGE_BYTES (UINT64_C(1) << 30)

/* Extents are in the export, and the image may begin behind its beginning. */
static void note_extent(void *data, uint64_t at, uint64_t len, uint32_t flags)
{
	struct uffdctl_serve *s = data;
	const struct contents *c = &s->images->contents;
	uint64_t unit = base_page_size(), end = MIN(at + len, c->offset + c->size);

	at = MAX(at, c->offset);
	if (!(flags & IS_DIRTY) || at >= end)
		return;
	for (uint64_t i = (at - c->offset) / unit; i * unit < end - c->offset; i++)
		s->dirty[i / 8] |= 1 << i % 8;
}

static int is_stopped(void *data)
{
	struct uffdctl_serve *s = data;

	return s->opts.stop && s->opts.stop(s->opts.data);
}

static int ask_server(struct uffdctl_serve *s)
{
	const struct contents *c = &s->images->contents;
	const char *context = s->opts.stale_context;

	if (!c->nbd || s->opts.stale || strncmp(context, DIRTY_PREFIX, strlen(DIRTY_PREFIX)) != 0)
		return fail(s->h->t->u, -EINVAL,
			    "%d: %s: a bitmap of a server needs contents of a server, and is named " DIRTY_PREFIX
			    "NAME",
			    s->h->t->pid, context);
	/* With room for a huge page that begins within the image. */
	s->dirty = calloc((c->size + MAX_PAGE_BYTES) / base_page_size() / 8 + 1, 1);
	if (!s->dirty)
		return log_oom(s->h->t->u);
	return nbd_image_extents(c->nbd, note_extent, s, is_stopped, s);
}

/* ---- all ---- */

int stale_apply(struct uffdctl_serve *s)
{
	const struct serve_memory *m = s->memories;
	uint64_t mapped = 0;
	int r = 0;

	if (!stale_is_given(s))
		return 0;
	if (s->opts.stale_context)
		r = ask_server(s);
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
