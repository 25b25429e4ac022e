// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of the view: its columns, and which groups are in it in which order. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch/view/view.h"

enum {
	COL_RIGHT_ALIGNED = 1 << 0,
	COL_TEXT = 1 << 1,
	COL_WAIT = 1 << 2, /* nanoseconds */
	SORT_TEXT = 64,
	NR_RANKS = 12,
};

#define ALL_GROUPINGS (~0u)
#define BUT(g) (~(1u << (g)))

struct table_column {
	const char *name;
	unsigned int flags, groupings;
	int width;
	int rank; /* the higher, the sooner it gives way */
	uint64_t (*number)(const struct group *g);
	char *(*text)(const struct view *v, const struct group *g);
};

/* ---- columns ---- */

static uint64_t get_faults(const struct group *g)
{
	return g->faults;
}

static uint64_t get_rate(const struct group *g)
{
	return g->rate;
}

static uint64_t get_minor(const struct group *g)
{
	return g->kinds[0];
}

static uint64_t get_missing(const struct group *g)
{
	return g->kinds[1];
}

static uint64_t get_wp(const struct group *g)
{
	return g->kinds[2];
}

static uint64_t get_rwp(const struct group *g)
{
	return g->kinds[3];
}

static uint64_t get_p50(const struct group *g)
{
	return group_percentile(g, 0.5);
}

static uint64_t get_p90(const struct group *g)
{
	return group_percentile(g, 0.9);
}

static uint64_t get_p99(const struct group *g)
{
	return group_percentile(g, 0.99);
}

static uint64_t get_max(const struct group *g)
{
	return group_percentile(g, 1);
}

static char *pid_and_name(pid_t pid, const char *raw)
{
	_cleanup_free_ char *name = NULL;
	char *text;

	if (!pid)
		return strdup("-");
	if (uffdctl_escape(raw, &name) < 0 || asprintf(&text, "%d %s", pid, name) < 0)
		return NULL;
	return text;
}

static bool is_others(const struct view *v, const struct group *g)
{
	return g == &v->m->groups[v->grouping].rows[0];
}

static char *get_resolver(const struct view *v, const struct group *g)
{
	return is_others(v, g) ? strdup("") : pid_and_name(g->resolver_pid, g->resolver_comm);
}

static char *get_op(const struct view *v, const struct group *g)
{
	return strdup(is_others(v, g) ? "" : g->op ?: uffdctl_end_name(g->end) ?: "-");
}

char *mapping_label(const struct view *v, const struct mapping *map)
{
	_cleanup_free_ char *name = *map->name ? text_name(map->name) : strdup("anon");
	char whose[NUM_SIZE] = "", at[NUM_SIZE] = "", *text;

	/* Those of one process need not be told from those of others. */
	if (v->m->scan.nr_targets != 1)
		snprintf(whose, sizeof(whose), "%d ", map->pid);
	if (!*map->name && map->range.end)
		snprintf(at, sizeof(at), " %" PRIx64, map->range.start);
	return asprintf(&text, "%s%s%s", whose, name ?: "?", at) < 0 ? NULL : text;
}

static char *label_of_mapping(const struct view *v, const struct group *g)
{
	const struct mapping *map = mappings_by_id(&v->m->mappings, (uint32_t)g->key);

	return map ? mapping_label(v, map) : strdup("(gone)");
}

/* A process is called as its first thread, where that is known. */
static char *label_of_process(const struct view *v, const struct group *g)
{
	const struct scan *scan = &v->m->scan;

	for (size_t i = 0; i < scan->nr_targets; i++)
		if (scan->targets[i].pid == g->pid)
			return pid_and_name(g->pid, scan->targets[i].comm);
	return pid_and_name(g->pid, g->comm);
}

static char *label_of_instruction(const struct view *v, const struct group *g)
{
	const char *name = g->ip != UFFDCTL_UNKNOWN && v->symbol ? v->symbol(g->pid, g->ip) : NULL;
	_cleanup_free_ char *symbol = NULL;
	char *text;
	int n;

	if (g->ip == UFFDCTL_UNKNOWN)
		n = asprintf(&text, "%d (did not sleep)", g->pid);
	else if (name && uffdctl_escape(name, &symbol) == 0)
		n = asprintf(&text, "%s", symbol);
	else
		n = asprintf(&text, "%d %" PRIx64, g->pid, g->ip);
	return n < 0 ? NULL : text;
}

char *row_label(const struct view *v, const struct group *g)
{
	if (is_others(v, g))
		return strdup("(others)");
	switch (v->grouping) {
	case BY_MAPPING:
		return label_of_mapping(v, g);
	case BY_THREAD:
		return pid_and_name(g->tid, g->comm);
	case BY_PROCESS:
		return label_of_process(v, g);
	case BY_RESOLVER:
		return g->resolver_pid ? pid_and_name(g->resolver_pid, g->resolver_comm) : strdup("(nobody)");
	default:
		return label_of_instruction(v, g);
	}
}

static const struct table_column columns[] = {
	{ NULL, COL_TEXT, ALL_GROUPINGS, 0, 0, NULL, row_label },
	{ "FAULTS", COL_RIGHT_ALIGNED, ALL_GROUPINGS, 9, 0, get_faults, NULL },
	{ "/S", COL_RIGHT_ALIGNED, ALL_GROUPINGS, 7, 0, get_rate, NULL },
	{ "MINOR", COL_RIGHT_ALIGNED, ALL_GROUPINGS, 9, 7, get_minor, NULL },
	{ "MISSING", COL_RIGHT_ALIGNED, ALL_GROUPINGS, 9, 8, get_missing, NULL },
	{ "WP", COL_RIGHT_ALIGNED, ALL_GROUPINGS, 8, 9, get_wp, NULL },
	{ "RWP", COL_RIGHT_ALIGNED, ALL_GROUPINGS, 8, 11, get_rwp, NULL },
	{ "P50", COL_RIGHT_ALIGNED | COL_WAIT, ALL_GROUPINGS, 7, 3, get_p50, NULL },
	{ "P90", COL_RIGHT_ALIGNED | COL_WAIT, ALL_GROUPINGS, 7, 10, get_p90, NULL },
	{ "P99", COL_RIGHT_ALIGNED | COL_WAIT, ALL_GROUPINGS, 7, 1, get_p99, NULL },
	{ "MAX", COL_RIGHT_ALIGNED | COL_WAIT, ALL_GROUPINGS, 7, 2, get_max, NULL },
	{ "RESOLVER", COL_TEXT, BUT(BY_RESOLVER), 20, 5, NULL, get_resolver },
	{ "OP", COL_TEXT, ALL_GROUPINGS, 12, 4, NULL, get_op },
};

#define NR_COLUMNS ((int)(sizeof(columns) / sizeof(columns[0])))

int table_columns(void)
{
	return NR_COLUMNS;
}

const char *grouping_name(enum grouping g)
{
	static const char *const names[] = { "mapping", "thread", "process", "resolver", "instruction" };

	return names[g];
}

const char *column_name(const struct view *v, int column)
{
	static const char *const firsts[] = { "MAPPING", "THREAD", "PROCESS", "RESOLVER", "INSTRUCTION" };

	return columns[column].name ?: firsts[v->grouping];
}

bool column_is_there(const struct view *v, int column)
{
	return columns[column].groupings >> v->grouping & 1;
}

/* The first column's width, which grows. Functions have long names. */
static int first_min(const struct view *v)
{
	return v->grouping == BY_INSTRUCTION ? 30 : 20;
}

unsigned int table_fit(const struct view *v, int width, int *first)
{
	unsigned int shown = 0;
	int left = width - 2 - first_min(v), most;

	/* The first that has no room ends it: one that matters less does not take its place. */
	for (int rank = 0; rank < NR_RANKS; rank++) {
		for (int i = 0; i < NR_COLUMNS; i++) {
			if (columns[i].rank != rank || !column_is_there(v, i))
				continue;
			if (columns[i].width + 1 > left)
				rank = NR_RANKS;
			if (rank == NR_RANKS)
				break;
			shown |= 1u << i;
			left -= columns[i].width + 1;
		}
	}
	/* A table that is very wide is hard to read along: the first column takes what names need. */
	most = v->grouping == BY_INSTRUCTION ? 64 : 32;
	*first = first_min(v) + (left < most ? left : most);
	return shown;
}

static int width_of(int column, int first)
{
	return column ? columns[column].width : first;
}

int table_column_at(const struct view *v, int width, int x)
{
	int first, at = 1;
	unsigned int shown = table_fit(v, width, &first);

	for (int i = 0; i < NR_COLUMNS; i++) {
		if (!(shown >> i & 1))
			continue;
		at += width_of(i, first) + 1;
		if (x < at)
			return i;
	}
	return -1;
}

void table_heads(const struct view *v, int width, struct line *l)
{
	int first, sorted = v->sort[v->grouping].column;
	unsigned int shown = table_fit(v, width, &first);
	char name[NUM_SIZE];

	line_add(l, STYLE_HEAD, " ");
	for (int i = 0; i < NR_COLUMNS; i++) {
		const char *mark = v->sort[v->grouping].ascending ? v->utf8 ? "▲" : "^" : v->utf8 ? "▼" : "v";

		if (!(shown >> i & 1))
			continue;
		snprintf(name, sizeof(name), "%s%s", column_name(v, i), i == sorted ? mark : "");
		line_field(l, i == sorted ? STYLE_SORTED : STYLE_HEAD, name, width_of(i, first),
			   columns[i].flags & COL_RIGHT_ALIGNED);
		line_add(l, STYLE_HEAD, " ");
	}
	line_to(l, STYLE_HEAD, width, " ");
}

static void add_cell(const struct view *v, const struct group *g, int i, int width, struct line *l)
{
	const struct table_column *c = &columns[i];
	_cleanup_free_ char *text = c->text ? c->text(v, g) : NULL;
	enum style style = STYLE_PLAIN;
	char num[NUM_SIZE];

	if (c->number && c->flags & COL_WAIT)
		text_wait(num, c->number(g), v->utf8);
	else if (c->number)
		text_count(num, c->number(g), c->width);
	if (c->number && !c->number(g))
		style = STYLE_DIM;
	line_field(l, style, c->number ? num : text ?: "?", width, c->flags & COL_RIGHT_ALIGNED);
}

void table_row_line(const struct view *v, size_t i, int width, struct line *l)
{
	const struct group *g = &v->m->groups[v->grouping].rows[v->rows.at[i]];
	int first;
	unsigned int shown = table_fit(v, width, &first);

	line_add(l, STYLE_PLAIN, " ");
	for (int c = 0; c < NR_COLUMNS; c++) {
		if (!(shown >> c & 1))
			continue;
		add_cell(v, g, c, width_of(c, first), l);
		line_add(l, STYLE_PLAIN, " ");
	}
}

/* ---- which rows, in which order ---- */

struct sort_key {
	uint64_t number;
	char text[SORT_TEXT];
	uint32_t row;
};

/* Static, since it is large; there is one view. */
static struct sort_key keys[VIEW_MAX_GROUPS + 1];

static int cmp_key(const void *a, const void *b)
{
	const struct sort_key *p = a, *q = b;
	int r = p->number == q->number ? strcasecmp(p->text, q->text) : p->number < q->number ? -1 : 1;

	/* Rows that are alike don't change places from one picture to the next. */
	return r ?: p->row < q->row ? -1 : 1;
}

static int cmp_key_down(const void *a, const void *b)
{
	const struct sort_key *p = a, *q = b;
	int r = p->number == q->number ? strcasecmp(q->text, p->text) : p->number > q->number ? -1 : 1;

	return r ?: p->row < q->row ? -1 : 1;
}

static bool passes(const struct view *v, const struct group *g)
{
	_cleanup_free_ char *label = NULL, *resolver = NULL;

	if (!*v->filter)
		return true;
	label = row_label(v, g);
	resolver = get_resolver(v, g);
	return (label && strcasestr(label, v->filter)) || (resolver && strcasestr(resolver, v->filter)) ||
	       (g->op && strcasestr(g->op, v->filter));
}

static void make_key(const struct view *v, const struct table_column *c, uint32_t row, struct sort_key *ret)
{
	const struct group *g = &v->m->groups[v->grouping].rows[row];
	_cleanup_free_ char *text = c->text ? c->text(v, g) : NULL;

	ret->number = c->number ? c->number(g) : 0;
	ret->row = row;
	snprintf(ret->text, sizeof(ret->text), "%s", text ?: "");
	/* "812 vcpu0" before "4211 handler" */
	if (text && *text >= '0' && *text <= '9')
		ret->number = strtoull(text, NULL, 10);
}

void rows_gather(struct view *v)
{
	const struct groups *gs = &v->m->groups[v->grouping];
	const struct table_column *c = &columns[v->sort[v->grouping].column];
	struct rows *rows = &v->rows;

	rows->nr = 0;
	for (uint32_t i = 0; i <= gs->nr; i++)
		if (gs->rows[i].faults && passes(v, &gs->rows[i]))
			make_key(v, c, i, &keys[rows->nr++]);
	qsort(keys, rows->nr, sizeof(keys[0]), v->sort[v->grouping].ascending ? cmp_key : cmp_key_down);
	for (size_t i = 0; i < rows->nr; i++)
		rows->at[i] = keys[i].row;
}
