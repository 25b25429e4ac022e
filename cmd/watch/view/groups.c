// SPDX-License-Identifier: GPL-2.0-or-later
/* Groups of faults, counted in a limited number of rows. */
#include <string.h>

#include "cmd/watch/view/groups.h"

/* ---- the rows: found by hash, the one that is longest without a fault makes room ---- */

static uint64_t hash64(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static uint32_t *head_of(struct groups *gs, uint64_t key, uint64_t key2)
{
	return &gs->heads[hash64(key * 31 + key2) % VIEW_NR_HEADS];
}

static void lru_remove(struct groups *gs, uint32_t i)
{
	struct group *g = &gs->rows[i];

	*(g->newer ? &gs->rows[g->newer].older : &gs->newest) = g->older;
	*(g->older ? &gs->rows[g->older].newer : &gs->oldest) = g->newer;
}

static void lru_add(struct groups *gs, uint32_t i)
{
	struct group *g = &gs->rows[i];

	g->newer = 0;
	g->older = gs->newest;
	*(gs->newest ? &gs->rows[gs->newest].newer : &gs->oldest) = i;
	gs->newest = i;
}

static void unhash(struct groups *gs, uint32_t i)
{
	struct group *g = &gs->rows[i];
	uint32_t *at = head_of(gs, g->key, g->key2);

	while (*at != i)
		at = &gs->rows[*at].next;
	*at = g->next;
}

/* Its faults are counted in (others) from now on. */
static void fold(struct groups *gs, uint32_t i)
{
	struct group *others = &gs->rows[0], *g = &gs->rows[i];

	counts_merge(&others->counts, &g->counts);
	others->sampled += g->sampled;
	gs->nr_dropped++;
	lru_remove(gs, i);
	unhash(gs, i);
}

static struct group *group_of(struct groups *gs, uint64_t key, uint64_t key2)
{
	uint32_t *head = head_of(gs, key, key2), i;

	for (i = *head; i; i = gs->rows[i].next)
		if (gs->rows[i].key == key && gs->rows[i].key2 == key2)
			break;
	if (i) {
		if (gs->newest != i) {
			lru_remove(gs, i);
			lru_add(gs, i);
		}
		return &gs->rows[i];
	}
	if (gs->nr < VIEW_MAX_GROUPS) {
		i = ++gs->nr;
	} else {
		i = gs->oldest;
		fold(gs, i);
	}
	gs->rows[i] = (struct group){ .key = key, .key2 = key2, .next = *head, .ip = UFFDCTL_UNKNOWN };
	*head = i;
	lru_add(gs, i);
	return &gs->rows[i];
}

/* What remains is an empty row that matches nothing and is reused first. */
void groups_drop(struct groups *gs, uint64_t key)
{
	uint32_t i = *head_of(gs, key, 0), *head;

	while (i && gs->rows[i].key != key)
		i = gs->rows[i].next;
	if (!i)
		return;
	fold(gs, i);
	head = head_of(gs, UINT64_MAX - i, UINT64_MAX);
	gs->rows[i] = (struct group){ .key = UINT64_MAX - i, .key2 = UINT64_MAX, .next = *head, .newer = gs->oldest };
	*head = i;
	*(gs->oldest ? &gs->rows[gs->oldest].older : &gs->newest) = i;
	gs->oldest = i;
}

/* ---- what is counted ---- */

void groups_add(struct groups *gs, uint64_t key, uint64_t key2, const struct uffdctl_fault *f,
		const struct parts *parts)
{
	struct group *g = group_of(gs, key, key2);

	counts_add(&g->counts, f->kind, parts);
	g->op = f->op;
	g->ip = f->ip;
	g->pid = f->pid;
	g->tid = f->tid;
	g->resolver = resolver_of(f);
	g->reader = f->reader_tid;
	g->end = f->end;
	memcpy(g->comm, f->comm, sizeof(g->comm));
	memcpy(g->resolver_comm, f->resolver_comm, sizeof(g->resolver_comm));
	memcpy(g->reader_comm, f->reader_comm, sizeof(g->reader_comm));
}

void groups_sample(struct groups *gs, double s)
{
	for (uint32_t i = 0; i <= gs->nr; i++) {
		struct group *g = &gs->rows[i];

		g->rate = (uint64_t)((double)(g->counts.faults - g->sampled) / s + 0.5);
		g->sampled = g->counts.faults;
	}
}

void groups_clear(struct groups *gs)
{
	memset(gs->heads, 0, sizeof(gs->heads));
	gs->rows[0] = (struct group){};
	gs->nr = gs->newest = gs->oldest = 0;
	gs->nr_dropped = 0;
}

void groups_copy(struct groups *to, const struct groups *from)
{
	/* Frames are taken often: do not copy what is empty or only needed for adding. */
	to->nr = from->nr;
	to->nr_dropped = from->nr_dropped;
	memcpy(to->rows, from->rows, (from->nr + 1) * sizeof(from->rows[0]));
}
