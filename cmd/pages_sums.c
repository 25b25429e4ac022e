// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes of pages by their states and marks: of a mapping, or of the cells of a picture of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/pages_sums.h"

void sums_add(struct page_sums *s, const struct uffdctl_page_run *run, uint64_t bytes)
{
	s->states[run->state] += bytes;
	s->wp += run->marks & UFFDCTL_MARK_WP ? bytes : 0;
	s->rwp += run->marks & UFFDCTL_MARK_RWP ? bytes : 0;
	s->poisoned += run->marks & UFFDCTL_MARK_POISONED ? bytes : 0;
	s->unmarked += run->marks & UFFDCTL_MARK_UNKNOWN ? bytes : 0;
}

uint64_t sums_total(const struct page_sums *s)
{
	uint64_t total = 0;

	for (int i = 0; i < NR_PAGE_STATES; i++)
		total += s->states[i];
	return total;
}

uint64_t sums_share(const struct page_sums *s)
{
	uint64_t total = sums_total(s);

	/* Not multiplied first: there are mappings of more than 2^57 bytes. */
	return total ? (uint64_t)((long double)s->states[UFFDCTL_PAGE_MAPPED] * 100 / total) : UFFDCTL_UNKNOWN;
}

/* A cell is a power of two of pages: easy to read, and the same from look to look. */
static int make_cells(struct page_part *p, size_t max_cells)
{
	uint64_t len = p->range.end - p->range.start, cell = p->page_size;
	struct page_sums *cells;

	while (max_cells && (len - 1) / cell + 1 > max_cells)
		cell *= 2;
	p->cell_bytes = cell;
	p->nr_cells = max_cells ? (len - 1) / cell + 1 : 0;
	cells = calloc(p->nr_cells + 1, sizeof(*cells));
	p->cells = cells;
	return cells ? 0 : -ENOMEM;
}

static bool reserve_part(struct page_parts *p)
{
	size_t alloc = p->alloc ? 2 * p->alloc : 16;
	struct page_part *parts;

	if (p->nr < p->alloc)
		return true;
	parts = reallocarray(p->parts, alloc, sizeof(*parts));
	if (!parts)
		return false;
	p->parts = parts;
	p->alloc = alloc;
	return true;
}

static int begin_part(struct page_parts *p, const struct uffdctl_page_run *run)
{
	struct page_part part = { .range = run->part,
				  .page_size = run->vma->page_size,
				  .rate = UFFDCTL_UNKNOWN,
				  .left_ns = UFFDCTL_UNKNOWN };
	char label[UFFDCTL_LABEL_BYTES];
	const char *name = uffdctl_vma_label(run->vma, label);

	if (!reserve_part(p) || make_cells(&part, p->max_cells) < 0)
		return -ENOMEM;
	part.name = name ? strdup(name) : NULL;
	p->parts[p->nr++] = part;
	return 0;
}

struct uffdctl_range cell_range(const struct page_part *part, size_t i)
{
	uint64_t start = part->range.start + i * part->cell_bytes;
	uint64_t left = part->range.end - start;

	return (struct uffdctl_range){ start, start + (left < part->cell_bytes ? left : part->cell_bytes) };
}

static void add_to_cells(struct page_part *part, const struct uffdctl_page_run *run)
{
	uint64_t at = run->range.start;

	while (at < run->range.end) {
		size_t i = (at - part->range.start) / part->cell_bytes;
		uint64_t end = cell_range(part, i).end;

		end = end < run->range.end ? end : run->range.end;
		sums_add(&part->cells[i], run, end - at);
		at = end;
	}
}

int parts_add(struct page_parts *p, const struct uffdctl_page_run *run)
{
	struct page_part *part;

	/* The first run of a part begins where that does. */
	if (run->range.start == run->part.start && begin_part(p, run) < 0)
		return -ENOMEM;
	part = &p->parts[p->nr - 1];
	sums_add(&part->sums, run, run->range.end - run->range.start);
	if (part->nr_cells)
		add_to_cells(part, run);
	return 0;
}

static const struct page_part *find_part(const struct page_parts *p, const struct page_part *like)
{
	for (size_t i = 0; i < p->nr; i++)
		if (p->parts[i].range.start == like->range.start && p->parts[i].range.end == like->range.end)
			return &p->parts[i];
	return NULL;
}

void parts_compare(struct page_parts *now, const struct page_parts *before, uint64_t passed_ns)
{
	for (size_t i = 0; passed_ns && i < now->nr; i++) {
		struct page_part *part = &now->parts[i];
		const struct page_part *was = find_part(before, part);
		uint64_t mapped = part->sums.states[UFFDCTL_PAGE_MAPPED], left;

		/* It has no rate if pages were unmapped. */
		if (!was || mapped < was->sums.states[UFFDCTL_PAGE_MAPPED])
			continue;
		part->rate =
			(uint64_t)((double)(mapped - was->sums.states[UFFDCTL_PAGE_MAPPED]) * 1e9 / (double)passed_ns);
		left = sums_total(&part->sums) - mapped;
		if (part->rate || !left)
			part->left_ns = left ? (uint64_t)((double)left / (double)part->rate * 1e9) : 0;
	}
}

void parts_clear(struct page_parts *p)
{
	for (size_t i = 0; i < p->nr; i++) {
		free(p->parts[i].name);
		free(p->parts[i].cells);
	}
	free(p->parts);
	p->parts = NULL;
	p->nr = p->alloc = 0;
}
