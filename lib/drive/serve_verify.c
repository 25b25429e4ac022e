// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: compares what was filled with its source. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/drive/serve_image.h"
#include "lib/drive/serve_store.h"
#include "lib/drive/serve_verify.h"
#include "lib/inspect/maps.h"
#include "lib/log.h"
#include "lib/opts.h"

/* ---- before ---- */

/* What a process has of a private mapping of a file is not what the page cache has. */
static int check_parts(const struct uffdctl_serve *s)
{
	for (size_t i = 0; i < s->memories->nr; i++) {
		const struct serve_part *p = s->memories->parts[i];

		if (p->vma.inode && !vma_is_shared(&p->vma))
			return fail(s->h->t->u, -EOPNOTSUPP,
				    "%d: %" PRIx64 "-%" PRIx64
				    ": a private mapping of a file can't be verified: leave it out, or serve without verifying",
				    s->h->t->pid, p->part->seg.range.start, p->part->seg.range.end);
	}
	return 0;
}

int verify_open(struct uffdctl_serve *s)
{
	if (s->opts.flags & UFFDCTL_SERVE_VERIFY && check_parts(s) < 0)
		return -EOPNOTSUPP;
	for (const struct serve_store *st = s->stores; s->opts.flags & UFFDCTL_SERVE_VERIFY && st; st = st->next) {
		struct serve_before *b = calloc(1, sizeof(*b));

		if (!b)
			return log_oom(s->h->t->u);
		b->next = s->before;
		s->before = b;
		b->store = st;
		b->states = malloc(st->nr);
		if (!b->states)
			return log_oom(s->h->t->u);
		memcpy(b->states, st->states, st->nr);
	}
	return 0;
}

void verify_close(struct uffdctl_serve *s)
{
	while (s->before) {
		struct serve_before *b = s->before;

		s->before = b->next;
		free(b->states);
		free(b);
	}
}

void verify_leave_out(const struct uffdctl_serve *s, const struct serve_part *p, struct uffdctl_range r)
{
	struct serve_before *b = s->before;

	while (b && b->store != p->store)
		b = b->next;
	for (; b && p->store && r.start < r.end; r.start += p->vma.page_size)
		b->states[part_state(p, r.start) - p->store->states] = SERVE_DONE;
}

static bool was_done(const struct uffdctl_serve *s, const struct serve_part *p, uint64_t addr)
{
	const struct serve_before *b = s->before;

	while (b && b->store != p->store)
		b = b->next;
	/* A store that was made later is a child's. */
	return !b || b->states[part_state(p, addr) - p->store->states] != SERVE_NEW;
}

static bool is_ours(const struct uffdctl_serve *s, const struct serve_part *p, uint64_t addr)
{
	return part_get(p, addr) == SERVE_DONE && !was_done(s, p, addr);
}

/* ---- comparing ---- */

struct verifying {
	struct uffdctl_serve *s;
	const struct serve_part *part;
	struct uffdctl_serve_verified sum;
	uffdctl_serve_differ_fn fn;
	void *data;
	uint8_t *buf;
	uint64_t size;
};

/* The pages from r->start on that were filled by us, or were not; returns which. */
static bool cut_run(const struct verifying *v, struct uffdctl_range *r)
{
	uint64_t page = v->part->vma.page_size, at = r->start;
	bool ours = is_ours(v->s, v->part, at);

	while (at < r->end && is_ours(v->s, v->part, at) == ours)
		at = round_down(at, page) + page;
	/* A piece may end within a huge page. */
	r->end = MIN(at, r->end);
	return ours;
}

static int read_source(struct verifying *v, struct uffdctl_range r)
{
	uint64_t done, len = range_len(r), at = v->part->part->from + (r.start - v->part->part->seg.range.start);
	int err;

	if (len > v->size) {
		free(v->buf);
		v->buf = malloc(len);
		v->size = v->buf ? len : 0;
	}
	if (!v->buf)
		return log_oom(v->s->h->t->u);
	err = contents_read(&v->part->image->contents, at, v->buf, len, &done);
	return err < 0 ? fail(v->s->h->t->u, err, "the contents can't be read again: offset %" PRIx64 ": %s", at,
			      strerror(-err))
		       : 0;
}

static void compare(struct verifying *v, struct uffdctl_range r, const uint8_t *bytes)
{
	uint64_t page = base_page_size();
	struct uffdctl_range differs = {};

	for (uint64_t at = r.start; at < r.end; at += page) {
		bool same = !memcmp(bytes + (at - r.start), v->buf + (at - r.start), page);

		*(same ? &v->sum.same_bytes : &v->sum.differ_bytes) += page;
		if (!same)
			differs = (struct uffdctl_range){ differs.start < differs.end ? differs.start : at, at + page };
		if (v->fn && differs.start < differs.end && (same || at + page == r.end)) {
			v->fn(v->data, differs);
			differs = (struct uffdctl_range){};
		}
	}
}

static int verify_run(struct verifying *v, struct uffdctl_range r, const struct uffdctl_piece *piece)
{
	int err;

	if (!piece->bytes) {
		*(piece->state == UFFDCTL_PAGE_ABSENT ? &v->sum.gone_bytes : &v->sum.unread_bytes) += range_len(r);
		return 0;
	}
	err = read_source(v, r);
	if (err >= 0)
		compare(v, r, (const uint8_t *)piece->bytes + (r.start - piece->range.start));
	return err;
}

static int verify_piece(void *data, const struct uffdctl_piece *piece)
{
	struct verifying *v = data;
	struct uffdctl_range r = { piece->range.start, piece->range.start };
	int err = 0;

	for (; err >= 0 && r.start < piece->range.end; r.start = r.end) {
		r.end = piece->range.end;
		if (cut_run(v, &r))
			err = verify_run(v, r, piece);
	}
	return err;
}

static int verify_mapped(struct verifying *v, struct uffdctl_range range)
{
	struct uffdctl *u = v->s->h->t->u;
	struct uffdctl_peek_opts opts = { .size = sizeof(opts), .piece = verify_piece, .data = v };
	struct uffdctl_ranges *ranges = NULL;
	char text[64];
	int r = uffdctl_ranges_new(u, &ranges);

	snprintf(text, sizeof(text), "%" PRIx64 "-%" PRIx64, range.start, range.end);
	if (r >= 0)
		r = uffdctl_ranges_add(ranges, text);
	opts.ranges = ranges;
	if (r >= 0)
		r = uffdctl_peek_ranges(v->s->h->t, &opts);
	uffdctl_ranges_free(ranges);
	return r;
}

/*
 * What of a part is mapped: it may have been unmapped, and other memory be there now. @at: of the mappings, where to go
 * on; false: there is no more
 */
static bool next_mapped(const struct serve_part *p, const struct uffdctl_maps *maps, size_t *at,
			struct uffdctl_range *ret)
{
	const struct uffdctl_vma *v;

	while ((v = uffdctl_maps_get(maps, (*at)++)) && v->range.start < p->part->seg.range.end)
		if (v->memory == p->vma.memory && vma_same_file(v, &p->vma)) {
			*ret = range_common(p->part->seg.range, v->range);
			return true;
		}
	return false;
}

static int verify_part(struct verifying *v, const struct serve_part *p, const struct uffdctl_maps *maps)
{
	size_t at = maps_find(maps, p->part->seg.range.start);
	struct uffdctl_range range;
	int r = 0;

	v->part = p;
	while (r >= 0 && next_mapped(p, maps, &at, &range))
		r = verify_mapped(v, range);
	return r;
}

/* What was filled and is not mapped any more. */
static uint64_t unmapped_bytes(const struct uffdctl_serve *s, const struct serve_memory *m,
			       const struct uffdctl_maps *maps)
{
	struct uffdctl_range range;
	uint64_t bytes = 0;

	for (size_t i = 0; i < m->nr; i++) {
		size_t at = maps_find(maps, m->parts[i]->part->seg.range.start);

		while (next_mapped(m->parts[i], maps, &at, &range))
			verify_leave_out(s, m->parts[i], range);
	}
	for (const struct serve_before *b = s->before; b; b = b->next)
		for (uint64_t i = 0; i < b->store->nr; i++)
			if (b->store->states[i] == SERVE_DONE && b->states[i] == SERVE_NEW)
				bytes += b->store->page_size;
	return bytes;
}

OPTS_CHECK(uffdctl_serve_verified, unread_bytes);

UFFDCTL_EXPORT int uffdctl_serve_verify(struct uffdctl_serve *s, uffdctl_serve_differ_fn fn, void *data,
					struct uffdctl_serve_verified *ret)
{
	struct verifying v = { .s = s, .sum = { .size = sizeof(v.sum) }, .fn = fn, .data = data };
	const struct serve_memory *m = s->memories;
	struct uffdctl_maps *maps = NULL;
	int r = out_check(s->h->t->u, ret);

	if (r < 0)
		return r;
	if (!s->before || !s->end)
		return fail(s->h->t->u, -EINVAL, "%d: uffdctl_serve_verify: it still runs, or was not asked for",
			    s->h->t->pid);
	/* It has ended, and this is wanted all the same. */
	images_stop(s, NULL);
	while (m->is_child)
		m = m->next;
	r = handle_maps(s->h, &maps);
	for (size_t i = 0; r >= 0 && i < m->nr; i++)
		r = verify_part(&v, m->parts[i], maps);
	v.sum.gone_bytes += r >= 0 ? unmapped_bytes(s, m, maps) : 0;
	uffdctl_maps_free(maps);
	free(v.buf);
	OUT_PUT(&v.sum, ret);
	return r;
}
