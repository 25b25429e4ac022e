// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: the states of pages. */
#include <sys/mman.h>

#include "lib/drive/serve_store.h"

/* Zeros: each is SERVE_NEW. */
struct serve_store *store_new(struct uffdctl_serve *s, const struct uffdctl_vma *shared, uint64_t first, uint64_t end,
			      uint64_t page_size)
{
	struct serve_store *st = calloc(1, sizeof(*st));
	uint64_t nr = (end - first) / page_size;
	void *p = MAP_FAILED;

	if (st)
		p = mmap(NULL, nr, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		free(st);
		return NULL;
	}
	*st = (struct serve_store){ .vma = shared, .first = first, .nr = nr, .page_size = page_size, .states = p };
	/* Two memories may have a child at the same time. */
	pthread_mutex_lock(&s->lock);
	st->next = s->stores;
	s->stores = st;
	pthread_mutex_unlock(&s->lock);
	return st;
}

struct serve_store *store_copy(struct uffdctl_serve *s, const struct serve_store *from, const void *owner)
{
	struct serve_store *st =
		store_new(s, NULL, from->first, from->first + from->nr * from->page_size, from->page_size);

	if (st)
		st->owner = owner;
	for (uint64_t i = 0; st && i < st->nr; i++)
		st->states[i] = from->states[i] == SERVE_BUSY ? SERVE_NEW : from->states[i];
	return st;
}

void stores_free(struct uffdctl_serve *s, const void *owner)
{
	struct serve_store **at = &s->stores, *gone = NULL;

	pthread_mutex_lock(&s->lock);
	while (*at) {
		struct serve_store *st = *at;

		if (owner && st->owner != owner) {
			at = &st->next;
			continue;
		}
		*at = st->next;
		st->next = gone;
		gone = st;
	}
	pthread_mutex_unlock(&s->lock);
	while (gone) {
		struct serve_store *st = gone;

		gone = st->next;
		munmap(st->states, st->nr);
		free(st);
	}
}

enum serve_state part_run(const struct serve_part *p, struct uffdctl_range *range)
{
	uint64_t page = p->store->page_size, at = range->start + page;
	enum serve_state state = part_get(p, range->start);

	while (at < range->end && part_get(p, at) == state)
		at += page;
	range->end = MIN(at, range->end);
	return state;
}

void part_claim(const struct serve_part *p, struct uffdctl_range *range, enum serve_state from)
{
	uint64_t page = p->store->page_size, at = range->start;

	for (; at < range->end; at += page) {
		uint8_t was = from;

		if (!__atomic_compare_exchange_n(part_state(p, at), &was, SERVE_BUSY, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE))
			break;
	}
	range->end = at;
}

void store_release(struct serve_store *st, uint64_t offset, uint64_t len, enum serve_state to)
{
	uint8_t *at = st->states + (offset - st->first) / st->page_size, *end = at + len / st->page_size;

	for (; at < end; at++) {
		uint8_t was = SERVE_BUSY;

		__atomic_compare_exchange_n(at, &was, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	}
}

size_t memory_next(const struct serve_memory *m, uint64_t addr)
{
	size_t from = 0, to = m->nr;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (addr < m->parts[mid]->part->seg.range.end)
			to = mid;
		else
			from = mid + 1;
	}
	return from;
}

struct serve_part *memory_part(const struct serve_memory *m, uint64_t addr)
{
	size_t i = memory_next(m, addr);

	return i < m->nr && m->parts[i]->part->seg.range.start <= addr ? m->parts[i] : NULL;
}
