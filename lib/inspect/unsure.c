// SPDX-License-Identifier: LGPL-2.1-or-later
/* Entries of a page table of which pagemap does not show what they are: what smaps counts may tell. */
#include <string.h>

#include "lib/inspect/maps.h"
#include "lib/inspect/unsure.h"

struct counts {
	uint64_t present, swapped, unsure; /* bytes */
};

static int count(const struct uffdctl_vma *v, int pagemap, struct counts *ret)
{
	_cleanup_free_ struct pagescan *s = malloc(sizeof(*s));
	struct uffdctl_range left = v->range;
	int r = s ? 0 : -ENOMEM;

	*ret = (struct counts){};
	if (s)
		pagescan_init(s, pagemap);
	while (r >= 0 && left.start < left.end) {
		r = pagescan_next(s, v, left);
		for (size_t i = 0; r >= 0 && i < s->nr; i++) {
			ret->present += s->runs[i].bits & ENTRY_PRESENT ? range_len(s->runs[i].range) : 0;
			ret->swapped += s->runs[i].bits & ENTRY_SWAPPED ? range_len(s->runs[i].range) : 0;
			ret->unsure += s->runs[i].bits & ENTRY_UNSURE ? range_len(s->runs[i].range) : 0;
		}
		left.start = r >= 0 ? s->end : left.start;
	}
	return r;
}

static uint64_t size_of(const struct uffdctl_vma *v, const char *key)
{
	for (unsigned int i = 0; v->sizes && uffdctl_smaps_key(i); i++)
		if (!strcmp(uffdctl_smaps_key(i), key))
			return v->sizes[i];
	return UFFDCTL_UNKNOWN;
}

/*
 * smaps_hugetlb_range() in fs/proc/task_mmu.c counts pages that are present, being migrated, or that have an error, and
 * no markers. smaps_pte_entry() counts what is swapped out, and no markers.
 */
static unsigned int judge(const struct uffdctl_vma *v, const struct counts *c)
{
	uint64_t shared = size_of(v, "Shared_Hugetlb"), private = size_of(v, "Private_Hugetlb");

	if (v->page_size == base_page_size())
		return size_of(v, "Swap") == c->swapped + c->unsure ? ENTRY_SWAPPED : ENTRY_UNSURE;
	if (shared == UFFDCTL_UNKNOWN || private == UFFDCTL_UNKNOWN)
		return ENTRY_UNSURE;
	return shared + private == c->present ? ENTRY_MARKER | ENTRY_POISONED : ENTRY_UNSURE;
}

static unsigned int by_smaps(struct uffdctl_target *t, const struct uffdctl_vma *v, const struct counts *c)
{
	unsigned int bits = ENTRY_UNSURE;
	struct uffdctl_maps *maps;
	const struct uffdctl_vma *same;
	bool silent = t->u->silent;
	int r;

	t->u->silent = true;
	r = maps_read(t, UFFDCTL_SOURCE_PROC, UFFDCTL_MAPS_ALL | UFFDCTL_MAPS_SIZES, NULL, &maps);
	t->u->silent = silent;
	if (r < 0)
		return bits;
	same = maps_at(maps, v->range.start);
	if (same && same->range.start == v->range.start && same->range.end == v->range.end && vma_same_file(same, v))
		bits = judge(same, c);
	uffdctl_maps_free(maps);
	return bits;
}

unsigned int unsure_entries(struct uffdctl_target *t, const struct uffdctl_vma *v, int pagemap)
{
	struct counts before, after;
	unsigned int bits;

	if (v->memory != UFFDCTL_MEMORY_HUGETLB && v->memory != UFFDCTL_MEMORY_ANON)
		return ENTRY_UNSURE;
	if (count(v, pagemap, &before) < 0 || !before.unsure)
		return ENTRY_UNSURE;
	bits = by_smaps(t, v, &before);
	/* It is an answer only if nothing has changed meanwhile. */
	if (count(v, pagemap, &after) < 0 || memcmp(&before, &after, sizeof(before)) != 0)
		return ENTRY_UNSURE;
	return bits;
}
