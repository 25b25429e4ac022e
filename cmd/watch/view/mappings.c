// SPDX-License-Identifier: GPL-2.0-or-later
/* Mappings in which faults occurred or which a scan found, with the heat of their cells. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch/by_mapping.h"
#include "cmd/watch/view/mappings.h"

/* The part of heat that remains after a second. */
#define COOLING 0.6f
#define COLD 0.05f

/* ---- finding ---- */

static uint64_t hash_name(pid_t pid, const char *name)
{
	return mapping_hash(pid, name, VIEW_NAME - 1);
}

const struct mapping *mappings_by_id(const struct mappings *ms, uint32_t id)
{
	const struct mapping *map = &ms->slots[id % VIEW_MAX_MAPPINGS];

	return id && map->id == id ? map : NULL;
}

static bool is_there(const struct mappings *ms, const struct mapping *map)
{
	return map->id && map->scan && map->scan == ms->scan;
}

static bool contains(const struct mapping *map, pid_t pid, uint64_t addr)
{
	return map->id && map->pid == pid && map->range.start <= addr && addr < map->range.end;
}

/* The slot of an address among the mappings that are there now, or VIEW_MAX_MAPPINGS. */
static size_t find_slot(const struct mappings *ms, pid_t pid, uint64_t addr)
{
	size_t lo = 0, hi = ms->nr_by_addr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct mapping *map = &ms->slots[ms->by_addr[mid]];

		if (map->pid < pid || (map->pid == pid && map->range.end <= addr))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < ms->nr_by_addr && contains(&ms->slots[ms->by_addr[lo]], pid, addr) ? ms->by_addr[lo]
										       : VIEW_MAX_MAPPINGS;
}

const struct mapping *mappings_find(const struct mappings *ms, pid_t pid, uint64_t addr)
{
	size_t i = find_slot(ms, pid, addr);

	return i < VIEW_MAX_MAPPINGS ? &ms->slots[i] : NULL;
}

/* ---- a slot for each ---- */

/* A free slot; otherwise the one whose last fault is longest ago, preferably of a mapping that is gone. */
static struct mapping *take_slot(struct mappings *ms, struct groups *rows)
{
	struct mapping *best = &ms->slots[0];

	for (size_t i = 0; i < VIEW_MAX_MAPPINGS; i++) {
		struct mapping *map = &ms->slots[i];
		bool there = is_there(ms, map), best_there = is_there(ms, best);

		if (!map->id)
			return map;
		if (there < best_there || (there == best_there && map->last_ns < best->last_ns))
			best = map;
	}
	/* Remove its row, too: its name would be lost. */
	groups_drop(rows, best->id);
	return best;
}

static struct mapping *add_mapping(struct mappings *ms, struct groups *rows, pid_t pid, const char *name)
{
	struct mapping *map = take_slot(ms, rows);
	uint32_t slot = (uint32_t)(map - ms->slots);

	*map = (struct mapping){ .id = ++ms->last_id * VIEW_MAX_MAPPINGS + slot,
				 .pid = pid,
				 .hash = hash_name(pid, name) };
	snprintf(map->name, sizeof(map->name), "%s", name);
	return map;
}

/* A mapping that is not in the last scan, since it is gone or newer, is identified by its name. NULL: there is none. */
static struct mapping *by_name(struct mappings *ms, pid_t pid, uint64_t hash, uint64_t addr)
{
	struct mapping *last = &ms->slots[ms->last_slot], *found = NULL;

	ms->want_scan = true;
	if (last->id && last->hash == hash && (!last->range.end || contains(last, pid, addr)))
		return last;
	for (size_t i = 0; i < VIEW_MAX_MAPPINGS && !found; i++)
		if (contains(&ms->slots[i], pid, addr) && ms->slots[i].hash == hash)
			found = &ms->slots[i];
	for (size_t i = 0; i < VIEW_MAX_MAPPINGS && !found; i++)
		if (ms->slots[i].id && ms->slots[i].hash == hash && !ms->slots[i].range.end)
			found = &ms->slots[i];
	return found;
}

static struct mapping *mapping_of(struct mappings *ms, struct groups *rows, const struct uffdctl_fault *f)
{
	pid_t pid = f->target_pid ?: f->pid;
	const char *name = f->name ?: "";
	struct mapping *map = &ms->slots[ms->last_slot];
	size_t slot;

	if (contains(map, pid, f->addr) && is_there(ms, map))
		return map;
	slot = find_slot(ms, pid, f->addr);
	if (slot < VIEW_MAX_MAPPINGS)
		map = &ms->slots[slot];
	else
		map = by_name(ms, pid, hash_name(pid, name), f->addr) ?: add_mapping(ms, rows, pid, name);
	ms->last_slot = (size_t)(map - ms->slots);
	return map;
}

/* ---- faults and their heat ---- */

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

static void cool_down(struct mapping *map)
{
	map->hot = false;
	for (size_t i = 0; i < VIEW_NR_CELLS; i++) {
		map->heat[i] *= COOLING;
		if (map->heat[i] < COLD)
			map->heat[i] = 0;
		else
			map->hot = true;
	}
}

void mappings_cool(struct mappings *ms)
{
	for (size_t i = 0; i < VIEW_MAX_MAPPINGS; i++)
		if (ms->slots[i].hot)
			cool_down(&ms->slots[i]);
}

const struct mapping *mappings_fault(struct mappings *ms, struct groups *rows, const struct uffdctl_fault *f)
{
	struct mapping *map = mapping_of(ms, rows, f);

	if (!map->range.end) {
		map->seen.start = map->faults && map->seen.start < f->addr ? map->seen.start : f->addr;
		map->seen.end = map->seen.end > f->addr ? map->seen.end : f->addr + 1;
	}
	map->faults++;
	map->last_ns = f->start_ns + (f->wait_ns == UFFDCTL_UNKNOWN ? 0 : f->wait_ns);
	heat_up(map, f->addr);
	return map;
}

/* ---- scans ---- */

static unsigned int shift_for(uint64_t size)
{
	unsigned int shift = 12;

	while ((size + (UINT64_C(1) << shift) - 1) >> shift > VIEW_NR_CELLS)
		shift++;
	return shift;
}

/* Cells are counted from the start: if the mapping grew or shrank, cells that are still in it keep their heat. */
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

static struct mapping *same_mapping(struct mappings *ms, const struct mapping_info *info)
{
	uint64_t hash = hash_name(info->pid, info->name);
	struct mapping *named = NULL;

	for (size_t i = 0; i < VIEW_MAX_MAPPINGS; i++) {
		struct mapping *map = &ms->slots[i];

		if (!map->id || map->hash != hash || map->scan == ms->scan)
			continue;
		if (map->range.end && map->range.start == info->range.start)
			return map;
		/* Faults of several mappings with one name may have been taken for those of one. */
		if (!map->range.end && info->range.start <= map->seen.start && map->seen.end <= info->range.end)
			named = map;
	}
	return named;
}

static int cmp_addr(const void *a, const void *b, void *arg)
{
	const struct mappings *ms = arg;
	const struct mapping *v = &ms->slots[*(const uint16_t *)a], *w = &ms->slots[*(const uint16_t *)b];

	if (v->pid != w->pid)
		return v->pid < w->pid ? -1 : 1;
	return v->range.start == w->range.start ? 0 : v->range.start < w->range.start ? -1 : 1;
}

/* Once there was another, the label does not change any more. */
static void find_namesakes(struct mappings *ms)
{
	for (size_t i = 0; i < ms->nr_by_addr; i++)
		for (size_t j = 0; j < i; j++) {
			struct mapping *a = &ms->slots[ms->by_addr[i]], *b = &ms->slots[ms->by_addr[j]];

			if (a->hash == b->hash)
				a->namesake = b->namesake = true;
		}
}

void mappings_scanned(struct mappings *ms, struct groups *rows, const struct scan *scan)
{
	ms->scan = scan->number;
	ms->want_scan = false;
	ms->nr_by_addr = 0;
	for (size_t i = 0; i < scan->nr_mappings; i++) {
		const struct mapping_info *info = &scan->mappings[i];
		struct mapping *map = same_mapping(ms, info);

		if (!map) {
			map = add_mapping(ms, rows, info->pid, info->name);
			map->last_ns = scan->ns;
		}
		set_range(map, info->range);
		map->page_size = info->page_size;
		map->modes = info->modes;
		map->offset = info->offset;
		map->scan = scan->number;
		memcpy(map->holders, info->holders, sizeof(map->holders));
		ms->by_addr[ms->nr_by_addr++] = (uint16_t)(map - ms->slots);
	}
	qsort_r(ms->by_addr, ms->nr_by_addr, sizeof(ms->by_addr[0]), cmp_addr, ms);
	find_namesakes(ms);
}
