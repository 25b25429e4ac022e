/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: the states of pages. */
#ifndef UFFDCTL_SERVE_STORE_H
#define UFFDCTL_SERVE_STORE_H

#include "lib/drive/serving.h"

/* A store for pages from an offset on, all SERVE_NEW; in the list of s. NULL: out of memory. */
struct serve_store *store_new(struct uffdctl_serve *s, const struct uffdctl_vma *shared, uint64_t first, uint64_t end,
			      uint64_t page_size);
/* The states as they are now, in another store: for a child, for which nobody fills a page yet. */
struct serve_store *store_copy(struct uffdctl_serve *s, const struct serve_store *from, const void *owner);
/* @owner: NULL: all */
void stores_free(struct uffdctl_serve *s, const void *owner);

static inline uint8_t *part_state(const struct serve_part *p, uint64_t addr)
{
	return p->store->states + (vma_offset(&p->vma, addr) - p->store->first) / p->store->page_size;
}

static inline enum serve_state part_get(const struct serve_part *p, uint64_t addr)
{
	return __atomic_load_n(part_state(p, addr), __ATOMIC_ACQUIRE);
}

/* The pages from range.start on that have the same state; returns that. */
enum serve_state part_run(const struct serve_part *p, struct uffdctl_range *range);

/*
 * Claim the pages from range.start on that have this state: they are BUSY then. The range is cut where they end; it is
 * empty if there are none.
 */
void part_claim(const struct serve_part *p, struct uffdctl_range *range, enum serve_state from);

/* BUSY pages from an offset on get another state; those that were removed meanwhile stay so. */
void store_release(struct serve_store *st, uint64_t offset, uint64_t len, enum serve_state to);

/* The first part that ends behind an address, as an index; m->nr: none. */
size_t memory_next(const struct serve_memory *m, uint64_t addr);
/* The part at an address; NULL: none. */
struct serve_part *memory_part(const struct serve_memory *m, uint64_t addr);

#endif
