// SPDX-License-Identifier: LGPL-2.1-or-later
/* Filling: decides which pages are filled, and what to do with pages that somebody else may have mapped. */
#include "lib/drive/fill_choose.h"
#include "lib/kernel/cachestat.h"
#include "lib/kernel/pagemap.h"

/* ---- pages that several parts show ---- */

bool parts_share_pages(const struct part *p, struct uffdctl_range r, const struct part *q)
{
	return vma_same_file(p->seg.vma, q->seg.vma) && part_offset(p, r.start) < part_offset(q, q->seg.range.end) &&
	       part_offset(p, r.end) > part_offset(q, q->seg.range.start);
}

static uint64_t bit_of(const struct part *p, uint64_t offset)
{
	return (offset - part_offset(p, p->seg.range.start)) / p->seg.vma->page_size;
}

/* Did an earlier part fill this page of the file, or find that the target had it mapped? */
static bool is_settled(const struct chunk *c, uint64_t addr)
{
	struct uffdctl_range page = { addr, addr + chunk_page_size(c) };
	uint64_t offset = part_offset(c->part, addr);

	if (!c->part->second_round)
		return false;
	for (const struct part *q = c->job->parts; q < c->part; q++) {
		const uint8_t *bits = filling_part(c->job, q)->settled;

		if (bits && parts_share_pages(c->part, page, q) &&
		    bits[bit_of(q, offset) / 8] >> bit_of(q, offset) % 8 & 1)
			return true;
	}
	return false;
}

/* A private mapping may have a page of its own mapped, which is not the file's page. */
static bool settles(const struct step *s, uint64_t i)
{
	switch (s->pages[i]) {
	case KEEP:
		return !(s->c->states[i] & PTE_MAPPED) || vma_is_shared(&s->c->vma);
	case MADE:
	case WRITTEN:
		return true;
	default:
		return false;
	}
}

/* Two threads may change bits of the same byte. */
void step_note_settled(struct step *s)
{
	const struct part *p = s->c->part;
	uint8_t *bits = s->part->settled;
	uint64_t bit = bit_of(p, part_offset(p, s->range.start));

	for (uint64_t i = 0; bits && i < step_nr_pages(s); i++, bit++)
		if (settles(s, i))
			__atomic_fetch_or(&bits[bit / 8], 1 << bit % 8, __ATOMIC_RELAXED);
}

/* ---- which are wanted ---- */

/* Has somebody else made an entry? For a page in the page cache, only ioctls make one. */
static bool appeared(const struct step *s, uint64_t addr)
{
	const uint8_t *before = s->part->mapped_before;
	uint64_t i = (addr - s->c->part->seg.range.start) / chunk_page_size(s->c);

	return before && !(before[i / 8] >> (i % 8) & 1);
}

/* True: somebody else maps pages here: stop everything. */
static bool choose_page(struct step *s, uint64_t addr)
{
	uint64_t i = step_index(s, addr);
	bool mapped = s->c->states[i] & PTE_MAPPED, settled = is_settled(s->c, addr);

	if (mapped && !settled && appeared(s, addr))
		return true;
	s->pages[i] = mapped || settled ? KEEP : WANTED;
	return false;
}

struct uffdctl_range step_choose(struct step *s)
{
	struct uffdctl_range ret = { s->range.end, s->range.start };
	uint64_t page = chunk_page_size(s->c);

	for (uint64_t at = s->range.start; at < s->range.end; at += page) {
		if (choose_page(s, at)) {
			chunk_conflict(s->c, at);
			return (struct uffdctl_range){ at, at };
		}
		if (s->pages[step_index(s, at)] != WANTED)
			continue;
		ret.start = MIN(ret.start, at);
		ret.end = at + page;
	}
	return ret;
}

/* ---- pages that are elsewhere ---- */

enum page_fill step_elsewhere(const struct step *s, enum page_fill overwrite)
{
	switch (s->c->job->opts->elsewhere) {
	case UFFDCTL_ELSEWHERE_OVERWRITE:
		return overwrite;
	case UFFDCTL_ELSEWHERE_KEEP:
		return KEEP;
	default:
		return ELSEWHERE;
	}
}

static bool has_swapped(const struct step *s, struct uffdctl_range r)
{
	return cachestat_has_evicted(s->part->file->fd, part_offset(s->c->part, r.start), range_len(r));
}

/* A swapped page of shmem is in no page table: it is not known where it was mapped, not even whether in the range. */
void step_leave_swapped(struct step *s)
{
	uint64_t page = chunk_page_size(s->c);

	if (page > base_page_size() || !has_swapped(s, s->range))
		return;
	for (uint64_t at = s->range.start; at < s->range.end; at += page)
		if (s->pages[step_index(s, at)] == WANTED && has_swapped(s, (struct uffdctl_range){ at, at + page }))
			s->pages[step_index(s, at)] = step_elsewhere(s, WANTED);
}
