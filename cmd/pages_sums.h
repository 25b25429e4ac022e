/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of pages by their states and marks: of a mapping, or of the cells of a picture of it. */
#ifndef CMD_PAGES_SUMS_H
#define CMD_PAGES_SUMS_H

#include "lib/uffdctl.h"

#define NR_PAGE_STATES (UFFDCTL_PAGE_SWAPPED + 1)

struct page_sums {
	uint64_t states[NR_PAGE_STATES]; /* by enum uffdctl_page_state: together, all bytes */
	uint64_t wp, rwp, poisoned;
	uint64_t unmarked; /* bytes of which wp and rwp are not known */
};

void sums_add(struct page_sums *s, const struct uffdctl_page_run *run, uint64_t bytes);
uint64_t sums_total(const struct page_sums *s);

/* A mapping, or the part of it that the ranges cover. */
struct page_part {
	struct uffdctl_range range;
	uint64_t page_size;
	char *name; /* as uffdctl_vma_label(), raw; NULL: not known */
	struct page_sums sums;
	/* With cells: each is of cell_bytes, the last one may be smaller. */
	uint64_t cell_bytes;
	size_t nr_cells;
	struct page_sums *cells;
	/* How it has changed since the last look: UFFDCTL_UNKNOWN, all of them if there was none. */
	uint64_t rate; /* bytes a second that became mapped */
	uint64_t left_ns;
};

struct page_parts {
	struct page_part *parts;
	size_t nr, alloc;
	size_t max_cells; /* of each part; 0: none */
};

/* Add a run to the part that it is of. -ENOMEM. */
int parts_add(struct page_parts *p, const struct uffdctl_page_run *run);
/* Compare with what was seen before: sets the rates. */
void parts_compare(struct page_parts *now, const struct page_parts *before, uint64_t passed_ns);
void parts_clear(struct page_parts *p);

/* The range of a cell. */
struct uffdctl_range cell_range(const struct page_part *part, size_t i);

/* How much is mapped, in percent, rounded down; UFFDCTL_UNKNOWN for nothing. */
uint64_t sums_share(const struct page_sums *s);

#endif
