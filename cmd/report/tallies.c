// SPDX-License-Identifier: GPL-2.0-or-later
/* Totals of faults that have something in common: a bounded number of groups, and one for the rest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/report/tallies.h"
#include "cmd/watch/by_mapping.h"

struct wait_parts wait_parts_of(const struct uffdctl_fault *f)
{
	bool known = f->wait_ns != UFFDCTL_UNKNOWN && f->queue_ns != UFFDCTL_UNKNOWN;
	uint64_t handled = known && f->wait_ns > f->queue_ns ? f->wait_ns - f->queue_ns : 0;

	return (struct wait_parts){ { f->wait_ns, f->queue_ns, known ? handled : UFFDCTL_UNKNOWN } };
}

void waits_add(struct waits *w, const struct wait_parts *parts)
{
	for (int i = 0; i < NR_WAITS; i++) {
		uint64_t ns = parts->ns[i];

		if (ns == UFFDCTL_UNKNOWN)
			continue;
		w[i].buckets[uffdctl_bucket(ns)]++;
		if (ns > w[i].max_ns)
			w[i].max_ns = ns;
	}
}

int tallies_init(struct tallies *g, uint32_t max, bool has_waits)
{
	*g = (struct tallies){ .max = max };
	g->list = calloc((size_t)max + 1, sizeof(*g->list));
	g->heads = calloc((size_t)2 * max, sizeof(*g->heads));
	/* Much, and only what is used takes memory. */
	g->waits = has_waits ? calloc((size_t)max * NR_WAITS, sizeof(*g->waits)) : NULL;
	return g->list && g->heads && (g->waits || !has_waits) ? 0 : -ENOMEM;
}

static bool is_it(const struct tally_key *a, const struct tally_key *b)
{
	if (a->pid != b->pid || a->tid != b->tid || a->number != b->number)
		return false;
	return a->text && b->text ? !strcmp(a->text, b->text) : a->text == b->text;
}

static uint32_t hash_of(const struct tallies *g, const struct tally_key *key)
{
	uint64_t h = mapping_hash(key->pid, key->text ?: "", SIZE_MAX) ^ (uint64_t)key->tid << 32 ^ key->number;

	return (h * UINT64_C(0x9e3779b97f4a7c15) >> 32) % ((size_t)2 * g->max);
}

/* Returns 0, where those are counted that find no room. */
static uint32_t add(struct tallies *g, const struct tally_key *key, uint32_t *head)
{
	struct waits *waits = g->waits ? &g->waits[(size_t)g->nr * NR_WAITS] : NULL;
	char *text;

	if (g->nr >= g->max || text_copy(key->text, &text) < 0)
		return 0;
	g->list[++g->nr] = (struct tally){
		.key = { key->pid, key->tid, key->number, text }, .lowest = UINT64_MAX, .waits = waits, .next = *head
	};
	*head = g->nr;
	return g->nr;
}

static uint32_t find(struct tallies *g, const struct tally_key *key)
{
	uint32_t *head, i;

	if (g->last && is_it(&g->list[g->last].key, key))
		return g->last;
	head = &g->heads[hash_of(g, key)];
	for (i = *head; i; i = g->list[i].next)
		if (is_it(&g->list[i].key, key))
			break;
	return i ?: add(g, key, head);
}

void tallies_add(struct tallies *g, const struct tally_key *key, const struct uffdctl_fault *f,
		 const struct wait_parts *parts)
{
	struct tally *at;

	g->last = find(g, key);
	at = &g->list[g->last];
	at->faults++;
	if (f->wait_ns != UFFDCTL_UNKNOWN) {
		at->wait_ns += f->wait_ns;
		at->max_wait_ns = f->wait_ns > at->max_wait_ns ? f->wait_ns : at->max_wait_ns;
	}
	at->lowest = f->addr < at->lowest ? f->addr : at->lowest;
	at->highest = f->addr > at->highest ? f->addr : at->highest;
	if (at->waits)
		waits_add(at->waits, parts);
}

void tallies_free(struct tallies *g)
{
	for (uint32_t i = 1; g->list && i <= g->nr; i++)
		free((char *)g->list[i].key.text);
	free(g->list);
	free(g->heads);
	free(g->waits);
	*g = (struct tallies){};
}

static int by_wait(const void *a, const void *b)
{
	const struct tally *x = *(const struct tally *const *)a, *y = *(const struct tally *const *)b;

	if (x->wait_ns != y->wait_ns)
		return x->wait_ns < y->wait_ns ? 1 : -1;
	/* Those that came first are first in the list. */
	return (x > y) - (x < y);
}

size_t tallies_longest(const struct tallies *g, size_t max, const struct tally ***ret)
{
	const struct tally **list = calloc((size_t)g->nr + 1, sizeof(struct tally *));

	*ret = list;
	if (!list)
		return 0;
	for (uint32_t i = 0; i < g->nr; i++)
		list[i] = &g->list[i + 1];
	qsort(list, g->nr, sizeof(struct tally *), by_wait);
	return g->nr < max ? g->nr : max;
}

uint64_t tallies_left_out(const struct tallies *g)
{
	return g->list[0].faults;
}
