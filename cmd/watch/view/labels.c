// SPDX-License-Identifier: GPL-2.0-or-later
/* The names of mappings and groups. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/watch/view/labels.h"
#include "lib/cleanup.h"

/* The raw name, or, of anonymous memory without one, "[anon:7f1640000000]", by its start. */
static const char *name_of(const struct mapping *map, char buf[NUM_SIZE])
{
	if (*map->name)
		return map->name;
	snprintf(buf, NUM_SIZE, map->range.end ? "[anon:%" PRIx64 "]" : "[anon]", map->range.start);
	return buf;
}

void label_mapping(const struct picture *p, const struct mapping *map, struct field *ret)
{
	char buf[NUM_SIZE], whose[NUM_SIZE] = "";
	_cleanup_free_ char *name = text_name(name_of(map, buf));

	/* If all are of one process, its PID is not needed. */
	if (p->m->scan.nr_targets != 1)
		snprintf(whose, sizeof(whose), "%d ", map->pid);
	field_format(ret, "%s%s", whose, !name ? "?" : map->namesake ? text_base(name) : name);
	if (map->namesake && *map->name)
		snprintf(ret->tail, sizeof(ret->tail), " %" PRIx64, map->range.start);
}

void label_place(const struct mapping *map, const char *raw, uint64_t offset, uint64_t addr, struct field *ret)
{
	char buf[NUM_SIZE];

	if (offset == UFFDCTL_UNKNOWN && map && map->range.start <= addr && addr < map->range.end)
		field_where(ret, name_of(map, buf), addr - map->range.start, addr);
	else
		field_where(ret, raw, offset, addr);
}

static void label_by_mapping(const struct picture *p, const struct group *g, struct field *ret)
{
	const struct mapping *map = mappings_by_id(&p->m->mappings, (uint32_t)g->key);

	if (map)
		label_mapping(p, map, ret);
	else
		field_word(ret, "(gone)");
}

static void label_by_thread(const struct picture *p, const struct group *g, struct field *ret)
{
	(void)p;
	field_pid_and_name(ret, g->tid, g->comm);
}

static void label_by_team(const struct picture *p, const struct group *g, struct field *ret)
{
	char name[TEAM_NAME];

	(void)p;
	team_name(g->comm, name);
	field_pid_and_name(ret, g->pid, name);
}

/* The name of a process is that of its first thread, if it is known. */
static void label_by_process(const struct picture *p, const struct group *g, struct field *ret)
{
	const struct scan *scan = &p->m->scan;
	const char *comm = g->comm;

	for (size_t i = 0; i < scan->nr_targets; i++)
		if (scan->targets[i].pid == g->pid && *scan->targets[i].comm)
			comm = scan->targets[i].comm;
	field_pid_and_name(ret, g->pid, comm);
}

static void label_by_resolver(const struct picture *p, const struct group *g, struct field *ret)
{
	(void)p;
	if (g->resolver)
		field_pid_and_name(ret, g->resolver, g->resolver_comm);
	else
		field_word(ret, "(nobody)");
}

static void label_by_instruction(const struct picture *p, const struct group *g, struct field *ret)
{
	/* A name that is not known yet appears in a later picture. */
	const char *symbol = p->symbols ? symbols_get(p->symbols, g->pid, g->ip, 0) : NULL;

	if (symbol)
		field_name(ret, symbol);
	else if (g->ip == UFFDCTL_UNKNOWN)
		field_format(ret, "%d (did not sleep)", g->pid);
	else
		field_format(ret, "%d %" PRIx64, g->pid, g->ip);
}

bool is_others(const struct picture *p, const struct group *g)
{
	return g == &p->m->groups[p->table.grouping].rows[0];
}

void label_group(const struct picture *p, const struct group *g, struct field *ret)
{
	static void (*const label_by[])(const struct picture *p, const struct group *g, struct field *ret) = {
		[BY_MAPPING] = label_by_mapping,   [BY_THREAD] = label_by_thread,
		[BY_TEAM] = label_by_team,	   [BY_PROCESS] = label_by_process,
		[BY_RESOLVER] = label_by_resolver, [BY_INSTRUCTION] = label_by_instruction,
	};

	if (is_others(p, g))
		field_word(ret, "(others)");
	else
		label_by[p->table.grouping](p, g, ret);
}
