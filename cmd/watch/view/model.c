// SPDX-License-Identifier: GPL-2.0-or-later
/* What the view of watch knows: groups of faults, mappings with their heat, samples, waiting threads. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch/view/model.h"

/* What is left of heat after a second. */
#define COOLING 0.6f
#define COLD 0.05f

void model_init(struct model *m, uint64_t now_ns, const char *backend)
{
	m->began_ns = m->now_ns = now_ns;
	snprintf(m->backend, sizeof(m->backend), "%s", backend);
}

/* ---- groups ---- */

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

/* Its faults go on as some of the others'. */
static void fold(struct groups *gs, uint32_t i)
{
	struct group *others = &gs->rows[0], *g = &gs->rows[i];

	others->faults += g->faults;
	others->sampled += g->sampled;
	for (int k = 0; k < 4; k++)
		others->kinds[k] += g->kinds[k];
	for (int b = 0; b < UFFDCTL_NR_BUCKETS; b++)
		others->buckets[b] += g->buckets[b];
	if (g->max_ns > others->max_ns)
		others->max_ns = g->max_ns;
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

/* What is left is an empty row that nothing matches, the first to be used again. */
static void drop_group(struct groups *gs, uint64_t key)
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

static void group_add(struct group *g, const struct uffdctl_fault *f, uint32_t mapping)
{
	g->faults++;
	if (f->kind >= UFFDCTL_KIND_MINOR && f->kind <= UFFDCTL_KIND_RWP)
		g->kinds[f->kind - UFFDCTL_KIND_MINOR]++;
	if (f->wait_ns != UFFDCTL_UNKNOWN) {
		if (f->wait_ns > g->max_ns)
			g->max_ns = f->wait_ns;
		g->buckets[bucket_of(f->wait_ns)]++;
	}
	g->op = f->op;
	g->ip = f->ip;
	g->mapping = mapping;
	g->pid = f->pid;
	g->tid = f->tid;
	g->resolver_pid = f->resolver_pid;
	g->end = f->end;
	memcpy(g->comm, f->comm, sizeof(g->comm));
	memcpy(g->resolver_comm, f->resolver_comm, sizeof(g->resolver_comm));
}

uint64_t group_percentile(const struct group *g, double p)
{
	struct uffdctl_watch_stats st = { .max_wait_ns = g->max_ns };

	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++)
		st.buckets[i] = g->buckets[i];
	return totals_percentile(&st, p);
}

/* ---- mappings ---- */

/* FNV-1a */
static uint64_t hash_name(pid_t pid, const char *name)
{
	uint64_t h = 0xcbf29ce484222325 ^ (uint64_t)pid;

	for (size_t i = 0; i < VIEW_NAME - 1 && name[i]; i++)
		h = (h ^ (unsigned char)name[i]) * 0x100000001b3;
	return h;
}

const struct mapping *model_mapping(const struct model *m, uint32_t id)
{
	const struct mapping *map = &m->mappings[id % VIEW_MAX_MAPPINGS];

	return id && map->id == id ? map : NULL;
}

bool mapping_is_there(const struct model *m, const struct mapping *map)
{
	return map->id && map->look && map->look == m->look.number;
}

static bool contains(const struct mapping *map, pid_t pid, uint64_t addr)
{
	return map->id && map->pid == pid && map->range.start <= addr && addr < map->range.end;
}

/* The slot of an address among the mappings that are there now, or VIEW_MAX_MAPPINGS. */
static size_t find_slot(const struct model *m, pid_t pid, uint64_t addr)
{
	size_t lo = 0, hi = m->nr_by_addr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct mapping *map = &m->mappings[m->by_addr[mid]];

		if (map->pid < pid || (map->pid == pid && map->range.end <= addr))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->nr_by_addr && contains(&m->mappings[m->by_addr[lo]], pid, addr) ? m->by_addr[lo]
										       : VIEW_MAX_MAPPINGS;
}

const struct mapping *model_find(const struct model *m, pid_t pid, uint64_t addr)
{
	size_t i = find_slot(m, pid, addr);

	return i < VIEW_MAX_MAPPINGS ? &m->mappings[i] : NULL;
}

/* A free slot; else that of the mapping whose last fault is longest ago, best one that is not there. */
static struct mapping *take_slot(struct model *m)
{
	struct mapping *best = NULL;

	for (size_t s = 0; s < VIEW_MAX_MAPPINGS; s++) {
		struct mapping *map = &m->mappings[s];
		bool there = mapping_is_there(m, map), best_there = best && mapping_is_there(m, best);

		if (!map->id)
			return map;
		if (!best || there < best_there || (there == best_there && map->last_ns < best->last_ns))
			best = map;
	}
	/* Its row goes with it: nobody could say any more what it was. */
	drop_group(&m->groups[BY_MAPPING], best->id);
	return best;
}

static struct mapping *add_mapping(struct model *m, pid_t pid, const char *name, uint64_t hash)
{
	struct mapping *map = take_slot(m);
	uint32_t slot = (uint32_t)(map - m->mappings);

	*map = (struct mapping){
		.id = ++m->last_id * VIEW_MAX_MAPPINGS + slot, .pid = pid, .hash = hash, .last_ns = m->now_ns
	};
	snprintf(map->name, sizeof(map->name), "%s", name);
	return map;
}

/* Not in the last look: gone since, or newer. Then its name tells it from others. */
static struct mapping *by_name(struct model *m, pid_t pid, const char *name, uint64_t addr)
{
	uint64_t hash = hash_name(pid, name);
	struct mapping *last = &m->mappings[m->last_slot], *found = NULL;

	m->want_look = true;
	if (last->id && last->hash == hash && (!last->range.end || contains(last, pid, addr)))
		return last;
	for (size_t i = 0; i < VIEW_MAX_MAPPINGS && !found; i++)
		if (contains(&m->mappings[i], pid, addr) && m->mappings[i].hash == hash)
			found = &m->mappings[i];
	for (size_t i = 0; i < VIEW_MAX_MAPPINGS && !found; i++)
		if (m->mappings[i].id && m->mappings[i].hash == hash && !m->mappings[i].range.end)
			found = &m->mappings[i];
	return found ?: add_mapping(m, pid, name, hash);
}

static struct mapping *mapping_of(struct model *m, const struct uffdctl_fault *f)
{
	pid_t pid = f->target_pid ?: f->pid;
	struct mapping *map = &m->mappings[m->last_slot];

	if (!contains(map, pid, f->addr) || !mapping_is_there(m, map)) {
		size_t slot = find_slot(m, pid, f->addr);

		map = slot < VIEW_MAX_MAPPINGS ? &m->mappings[slot] : by_name(m, pid, f->name ?: "", f->addr);
		m->last_slot = map - m->mappings;
	}
	return map;
}

static void heat_up(struct mapping *map, uint64_t addr)
{
	size_t cell;

	if (addr < map->range.start || addr >= map->range.end)
		return;
	cell = (addr - map->range.start) >> map->cell_shift;
	if (cell < VIEW_NR_CELLS)
		map->heat[cell] += 1;
	map->hot = true;
}

static void cool_down(struct mapping *map, float left)
{
	bool hot = false;

	for (size_t i = 0; i < VIEW_NR_CELLS; i++) {
		map->heat[i] *= left;
		if (map->heat[i] < COLD)
			map->heat[i] = 0;
		else
			hot = true;
	}
	map->hot = hot;
}

static unsigned int shift_for(uint64_t size)
{
	unsigned int shift = 12;

	while ((size + (UINT64_C(1) << shift) - 1) >> shift > VIEW_NR_CELLS)
		shift++;
	return shift;
}

/* Cells are counted from the start: one that grew or was cut keeps what still has its place. */
static void set_range(struct mapping *map, struct uffdctl_range range)
{
	unsigned int shift = shift_for(range.end - range.start);

	if (shift != map->cell_shift) {
		memset(map->heat, 0, sizeof(map->heat));
		map->hot = false;
	}
	map->cell_shift = shift;
	map->range = range;
}

/* ---- a fault ---- */

static void note_seen(struct model *m, pid_t pid)
{
	for (size_t i = 0; i < m->nr_seen; i++)
		if (m->seen[i] == pid)
			return;
	if (m->nr_seen == VIEW_MAX_TARGETS)
		memmove(m->seen, m->seen + 1, sizeof(m->seen[0]) * --m->nr_seen);
	m->seen[m->nr_seen++] = pid;
}

static void keep_event(struct model *m, const struct uffdctl_fault *f, uint32_t mapping)
{
	struct event *e = &m->events[m->nr_events++ % VIEW_NR_EVENTS];

	*e = (struct event){ .start_ns = f->start_ns,
			     .wait_ns = f->wait_ns,
			     .addr = f->addr,
			     .pid = f->pid,
			     .tid = f->tid,
			     .resolver_pid = f->resolver_pid,
			     .mapping = mapping,
			     .offset = f->offset,
			     .kind = f->kind,
			     .access = f->access,
			     .end = f->end,
			     .op = f->op };
	memcpy(e->comm, f->comm, sizeof(e->comm));
	memcpy(e->resolver_comm, f->resolver_comm, sizeof(e->resolver_comm));
}

void model_fault(struct model *m, const struct uffdctl_fault *f)
{
	struct mapping *map = mapping_of(m, f);
	uint64_t how = f->op ? (uintptr_t)f->op : (uint64_t)f->end;
	const uint64_t keys[NR_GROUPINGS][2] = {
		[BY_MAPPING] = { map->id },
		[BY_THREAD] = { f->tid },
		[BY_PROCESS] = { f->pid },
		[BY_RESOLVER] = { f->resolver_pid, how },
		[BY_INSTRUCTION] = { f->ip, f->pid },
	};

	for (int i = 0; i < NR_GROUPINGS; i++)
		group_add(group_of(&m->groups[i], keys[i][0], keys[i][1]), f, map->id);
	map->faults++;
	map->last_ns = f->start_ns + (f->wait_ns == UFFDCTL_UNKNOWN ? 0 : f->wait_ns);
	heat_up(map, f->addr);
	if (map->pid != (m->nr_seen ? m->seen[m->nr_seen - 1] : 0))
		note_seen(m, map->pid);
	keep_event(m, f, map->id);
}

/* ---- samples ---- */

static void sample_groups(struct groups *gs, double s)
{
	for (uint32_t i = 0; i <= gs->nr; i++) {
		struct group *g = &gs->rows[i];

		g->rate = (uint64_t)((double)(g->faults - g->sampled) / s + 0.5);
		g->sampled = g->faults;
	}
}

static const struct sample *sample_at(const struct model *m, uint64_t back)
{
	return &m->samples[(m->nr_samples - 1 - back) % VIEW_NR_SAMPLES];
}

void model_tick(struct model *m, uint64_t now_ns, const struct uffdctl_watch_stats *st)
{
	double s;

	m->now_ns = now_ns;
	m->stats = *st;
	m->total = totals_sum(st->ended, UFFDCTL_NR_ENDS) + st->pending;
	/* A tick that comes a little early is a second, too. */
	if (m->nr_samples && now_ns - sample_at(m, 0)->ns < SECOND * 95 / 100)
		return;
	s = m->nr_samples ? (double)(now_ns - sample_at(m, 0)->ns) / SECOND : 0;
	struct sample *next = &m->samples[m->nr_samples++ % VIEW_NR_SAMPLES];
	next->ns = now_ns;
	memcpy(next->faults, st->faults, sizeof(next->faults));
	if (s <= 0)
		return;
	for (int i = 0; i < NR_GROUPINGS; i++)
		sample_groups(&m->groups[i], s);
	for (size_t i = 0; i < VIEW_MAX_MAPPINGS; i++)
		if (m->mappings[i].hot)
			cool_down(&m->mappings[i], COOLING);
}

static uint64_t rate_between(const struct sample *from, const struct sample *to, int kind)
{
	uint64_t n = kind < 0 ? totals_grown(totals_sum(to->faults, 4), totals_sum(from->faults, 4))
			      : totals_grown(to->faults[kind], from->faults[kind]);

	return to->ns > from->ns ? (uint64_t)((double)n * SECOND / (double)(to->ns - from->ns) + 0.5) : 0;
}

uint64_t model_rate(const struct model *m, int kind)
{
	return m->nr_samples < 2 ? UFFDCTL_UNKNOWN : rate_between(sample_at(m, 1), sample_at(m, 0), kind);
}

size_t model_rates(const struct model *m, uint64_t *rates, size_t n)
{
	size_t known = m->nr_samples < VIEW_NR_SAMPLES ? m->nr_samples : VIEW_NR_SAMPLES;

	known = known ? known - 1 : 0;
	n = n < known ? n : known;
	for (size_t i = 0; i < n; i++)
		rates[i] = rate_between(sample_at(m, n - i), sample_at(m, n - i - 1), -1);
	return n;
}

void model_sum(const struct model *m, struct uffdctl_watch_stats *st)
{
	/* What a row has to leave goes to the first, so that all groupings have all. */
	const struct groups *gs = &m->groups[BY_PROCESS];

	memset(st->faults, 0, sizeof(st->faults));
	memset(st->ended, 0, sizeof(st->ended));
	memset(st->buckets, 0, sizeof(st->buckets));
	st->max_wait_ns = 0;
	for (uint32_t i = 0; i <= gs->nr; i++) {
		const struct group *g = &gs->rows[i];

		for (int k = 0; k < 4; k++)
			st->faults[k] += g->kinds[k];
		for (int b = 0; b < UFFDCTL_NR_BUCKETS; b++)
			st->buckets[b] += g->buckets[b];
		st->ended[0] += g->faults;
		if (g->max_ns > st->max_wait_ns)
			st->max_wait_ns = g->max_ns;
	}
}

/* A frame is taken often: what is empty, and what only adding needs, stays behind. */
void model_copy(struct model *to, const struct model *from)
{
	memcpy(to, from, offsetof(struct model, groups));
	for (int i = 0; i < NR_GROUPINGS; i++) {
		to->groups[i].nr = from->groups[i].nr;
		to->groups[i].nr_dropped = from->groups[i].nr_dropped;
		memcpy(to->groups[i].rows, from->groups[i].rows, (from->groups[i].nr + 1) * sizeof(struct group));
	}
	memcpy(to->mappings, from->mappings, sizeof(*to) - offsetof(struct model, mappings));
}

/* ---- looks ---- */

static struct mapping *same_mapping(struct model *m, const struct mapping_info *info, uint64_t hash)
{
	struct mapping *named = NULL;

	for (size_t i = 0; i < VIEW_MAX_MAPPINGS; i++) {
		struct mapping *map = &m->mappings[i];

		if (!map->id || map->hash != hash || map->look == m->look.number)
			continue;
		if (map->range.end && map->range.start == info->range.start)
			return map;
		if (!map->range.end)
			named = map;
	}
	return named;
}

static int cmp_addr(const void *a, const void *b, void *arg)
{
	const struct model *m = arg;
	const struct mapping *v = &m->mappings[*(const uint16_t *)a], *w = &m->mappings[*(const uint16_t *)b];

	if (v->pid != w->pid)
		return v->pid < w->pid ? -1 : 1;
	return v->range.start == w->range.start ? 0 : v->range.start < w->range.start ? -1 : 1;
}

void model_look(struct model *m, const struct look *look)
{
	m->look = *look;
	m->want_look = false;
	m->nr_by_addr = 0;
	for (size_t i = 0; i < look->nr_mappings; i++) {
		const struct mapping_info *info = &look->mappings[i];
		uint64_t hash = hash_name(info->pid, info->name);
		struct mapping *map = same_mapping(m, info, hash) ?: add_mapping(m, info->pid, info->name, hash);

		set_range(map, info->range);
		map->page_size = info->page_size;
		map->modes = info->modes;
		map->offset = info->offset;
		map->look = look->number;
		memcpy(map->holders, info->holders, sizeof(map->holders));
		m->by_addr[m->nr_by_addr++] = (uint16_t)(map - m->mappings);
	}
	qsort_r(m->by_addr, m->nr_by_addr, sizeof(m->by_addr[0]), cmp_addr, m);
}
