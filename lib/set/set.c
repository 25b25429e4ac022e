// SPDX-License-Identifier: LGPL-2.1-or-later
/* Working sets: which parts of an image were touched, in the order of the first touch. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/opts.h"
#include "lib/set/set.h"

UFFDCTL_EXPORT int uffdctl_workset_new(struct uffdctl *u, uint64_t image_bytes, uint64_t image_id,
				       struct uffdctl_workset **ret)
{
	struct uffdctl_workset *s = calloc(1, sizeof(*s));

	if (!s)
		return log_oom(u);
	*s = (struct uffdctl_workset){ .u = u, .image_bytes = image_bytes, .image_id = image_id };
	*ret = s;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_workset_free(struct uffdctl_workset *s)
{
	if (!s)
		return;
	free(s->items);
	free(s);
}

UFFDCTL_EXPORT uint64_t uffdctl_workset_image_bytes(const struct uffdctl_workset *s)
{
	return s->image_bytes;
}

UFFDCTL_EXPORT uint64_t uffdctl_workset_image_id(const struct uffdctl_workset *s)
{
	return s->image_id;
}

UFFDCTL_EXPORT size_t uffdctl_workset_count(const struct uffdctl_workset *s)
{
	return s->nr;
}

UFFDCTL_EXPORT const struct uffdctl_workset_item *uffdctl_workset_get(const struct uffdctl_workset *s, size_t i)
{
	return i < s->nr ? &s->items[i] : NULL;
}

/* One that follows another in the image and in time makes that one longer: its bytes need no order among themselves. */
UFFDCTL_EXPORT int uffdctl_workset_add(struct uffdctl_workset *s, const struct uffdctl_workset_item *item)
{
	struct uffdctl_workset_item *last = s->nr ? &s->items[s->nr - 1] : NULL, *next;

	if (!item->len || item->len > s->image_bytes || item->offset > s->image_bytes - item->len)
		return fail(s->u, -ERANGE,
			    "working set: offset %" PRIx64 " with %" PRIx64 " bytes is outside the image of %" PRIx64
			    " bytes",
			    item->offset, item->len, s->image_bytes);
	if (last && last->offset + last->len == item->offset && last->access == item->access &&
	    item->time_ns >= last->time_ns && item->time_ns - last->time_ns <= SET_JOIN_NS) {
		last->len += item->len;
		return 0;
	}
	next = vec_add(s->items, s->nr, s->alloc);
	if (!next)
		return log_oom(s->u);
	*next = *item;
	return 0;
}

/* ---- by offset ---- */

static int compare_offsets(const void *a, const void *b)
{
	const struct uffdctl_workset_item *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

int set_sort(const struct uffdctl_workset *s, struct uffdctl_workset_item **ret)
{
	struct uffdctl_workset_item *sorted = malloc((s->nr ?: 1) * sizeof(*sorted));

	if (!sorted)
		return log_oom(s->u);
	if (s->nr)
		memcpy(sorted, s->items, s->nr * sizeof(*sorted));
	qsort(sorted, s->nr, sizeof(*sorted), compare_offsets);
	*ret = sorted;
	return 0;
}

/* The first item that ends above an offset. */
static size_t find_above(const struct uffdctl_workset_item *sorted, size_t nr, uint64_t offset)
{
	size_t lo = 0, hi = nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (sorted[mid].offset + sorted[mid].len <= offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* ---- two sets ---- */

/* Add the parts of an item that are in the other set, or those that are not. */
static int add_parts(struct uffdctl_workset *to, const struct uffdctl_workset_item *item,
		     const struct uffdctl_workset_item *other, size_t nr, bool inside)
{
	uint64_t at = item->offset, end = item->offset + item->len;
	int r = 0;

	for (size_t i = find_above(other, nr, at); r >= 0 && at < end; i++) {
		struct uffdctl_workset_item part = *item;
		uint64_t begin = i < nr ? MAX(other[i].offset, at) : end, from = MIN(begin, end);
		uint64_t until = i < nr ? MIN(other[i].offset + other[i].len, end) : end;

		part.offset = inside ? from : at;
		part.len = (inside ? until : from) - part.offset;
		if (part.len)
			r = uffdctl_workset_add(to, &part);
		at = until;
	}
	return r;
}

static int add_all(struct uffdctl_workset *to, const struct uffdctl_workset *from, const struct uffdctl_workset *other,
		   bool inside)
{
	_cleanup_free_ struct uffdctl_workset_item *sorted = NULL;
	int r = set_sort(other, &sorted);

	for (size_t i = 0; r >= 0 && i < from->nr; i++)
		r = add_parts(to, &from->items[i], sorted, other->nr, inside);
	return r;
}

UFFDCTL_EXPORT int uffdctl_workset_combine(const struct uffdctl_workset *a, enum uffdctl_workset_op op,
					   const struct uffdctl_workset *b, struct uffdctl_workset **ret)
{
	const struct uffdctl_workset nothing = { .u = a->u };
	struct uffdctl_workset *s = NULL;
	int r;

	if (a->image_bytes != b->image_bytes || a->image_id != b->image_id)
		return fail(a->u, -EXDEV,
			    "working sets: they are of different images (of %" PRIu64 " and %" PRIu64
			    " bytes, with contents %016" PRIx64 " and %016" PRIx64 ")",
			    a->image_bytes, b->image_bytes, a->image_id, b->image_id);
	r = uffdctl_workset_new(a->u, a->image_bytes, a->image_id, &s);
	if (r >= 0 && op == UFFDCTL_WORKSET_UNION)
		r = add_all(s, a, &nothing, false);
	if (r >= 0)
		r = op == UFFDCTL_WORKSET_UNION ? add_all(s, b, a, false)
						: add_all(s, a, b, op == UFFDCTL_WORKSET_INTERSECT);
	if (r < 0)
		uffdctl_workset_free(s);
	else
		*ret = s;
	return r;
}

/* ---- the image ---- */

#define SAMPLES 256
#define SAMPLE_BYTES 4096

/* FNV-1a, by words */
static uint64_t hash_more(uint64_t h, const uint64_t *words, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		h = (h ^ words[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 32;
}

/* Pages spread over all of it: to read all would take as long as to copy it. */
UFFDCTL_EXPORT int uffdctl_workset_identify(struct uffdctl *u, uffdctl_workset_read_fn read, void *data, uint64_t bytes,
					    uint64_t *ret)
{
	uint64_t h = hash_more(UINT64_C(0xcbf29ce484222325), &bytes, 1), last = UINT64_MAX;

	for (uint64_t i = 0; i < SAMPLES && bytes; i++) {
		uint64_t words[SAMPLE_BYTES / 8] = {}, at = round_down(bytes / SAMPLES * i, SAMPLE_BYTES);
		int r;

		if (at == last)
			continue;
		r = read(data, at, words, MIN(bytes - at, (uint64_t)SAMPLE_BYTES));
		if (r < 0)
			return fail(u, r, "the image: offset %" PRIx64 ": %s", at, strerror(-r));
		h = hash_more(h, words, ARRAY_SIZE(words));
		last = at;
	}
	*ret = h;
	return 0;
}
