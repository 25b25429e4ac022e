// SPDX-License-Identifier: GPL-2.0-or-later
/* The pane of groups of faults: by mapping, thread, team, process, resolver or instruction. */
#include <stdlib.h>
#include <string.h>

#include "cmd/watch/view/labels.h"
#include "cmd/watch/view/pane_table.h"

/* ---- what it can be grouped by ---- */

static const struct {
	const char *name, *head;
	int least, more; /* the least width of the first column, and how much it may grow */
} groupings[] = {
	[BY_MAPPING] = { "mapping", "MAPPING", 20, 32 },
	[BY_THREAD] = { "thread", "THREAD", 20, 32 },
	[BY_TEAM] = { "team", "TEAM", 20, 32 },
	[BY_PROCESS] = { "process", "PROCESS", 20, 32 },
	[BY_RESOLVER] = { "resolver", "RESOLVER", 15, 37 },
	/* Names of functions are long. */
	[BY_INSTRUCTION] = { "instruction", "INSTRUCTION", 30, 64 },
};

/* ---- columns: rows are struct group ---- */

COLUMN_GET(label, group, label_group(p, r, f));
COLUMN_GET(faults, group, field_count(f, r->counts.faults));
COLUMN_GET(rate, group, field_count(f, r->rate));
COLUMN_GET(minor, group, field_count(f, r->counts.kinds[BY_KIND(UFFDCTL_KIND_MINOR)]));
COLUMN_GET(missing, group, field_count(f, r->counts.kinds[BY_KIND(UFFDCTL_KIND_MISSING)]));
COLUMN_GET(wp, group, field_count(f, r->counts.kinds[BY_KIND(UFFDCTL_KIND_WP)]));
COLUMN_GET(rwp, group, field_count(f, r->counts.kinds[BY_KIND(UFFDCTL_KIND_RWP)]));

#define WAIT(r) (&(r)->counts.waits[PART_WAIT])

COLUMN_GET(p50, group, field_bound(f, waits_percentile(WAIT(r), 50)));
COLUMN_GET(p90, group, field_bound(f, waits_percentile(WAIT(r), 90)));
COLUMN_GET(p99, group, field_bound(f, waits_percentile(WAIT(r), 99)));
COLUMN_GET(max, group, field_longest(f, waits_percentile(WAIT(r), 100)));
COLUMN_GET(queued, group, field_bound(f, waits_percentile(&r->counts.waits[PART_QUEUED], 99)));
COLUMN_GET(handled, group, field_bound(f, waits_percentile(&r->counts.waits[PART_HANDLED], 99)));
COLUMN_GET(total, group, field_wait(f, waits_total(WAIT(r))));
COLUMN_GET(avg, group, field_wait(f, waits_average(WAIT(r))));
COLUMN_GET(resolver, group, is_others(p, r) ? field_word(f, "") : field_pid_and_name(f, r->resolver, r->resolver_comm));

static void get_all_wait(const struct picture *p, const void *row, struct field *f)
{
	const struct group *g = row;
	char name[TEAM_NAME];

	team_name(g->comm, name);
	field_wait(f, is_others(p, g) ? UFFDCTL_UNKNOWN : teams_all_wait_ns(&p->m->teams, g->pid, name));
}

COLUMN_GET(reader, group, is_others(p, r) ? field_word(f, "") : field_pid_and_name(f, r->reader, r->reader_comm));
COLUMN_GET(op, group, field_word(f, is_others(p, r) ? "" : r->op ?: uffdctl_end_name(r->end)));

enum {
	COLUMN_RESOLVER = 7,
	COLUMN_OP,
	COLUMN_ALL_WAIT,
	COLUMN_QUEUED,
	COLUMN_HANDLED,
};

/* From this width on, columns get the room that their longest texts need. */
#define ROOMY 140

/*
 * What there is no room for is left out, the highest rank first: an engineer first asks which memory waits how long
 * and who resolves it, then for which part of the wait the handler is to blame, then for totals, then for kinds.
 */
static const struct view_column all_columns[] = {
	{ .flags = COLUMN_GROWS | COLUMN_NAME, .get = get_label },
	{ .name = "FAULTS", .width = 7, .wide = 9, .wide_from = ROOMY, .flags = COLUMN_RIGHT, .get = get_faults },
	{ .name = "/S", .width = 6, .wide = 7, .wide_from = ROOMY, .flags = COLUMN_RIGHT, .get = get_rate },
	{ .name = "P50", .width = 7, .rank = 9, .flags = COLUMN_RIGHT, .get = get_p50 },
	{ .name = "P90", .width = 7, .rank = 10, .flags = COLUMN_RIGHT, .get = get_p90 },
	{ .name = "P99", .width = 7, .rank = 1, .flags = COLUMN_RIGHT, .get = get_p99 },
	{ .name = "MAX", .width = 7, .rank = 2, .flags = COLUMN_RIGHT, .get = get_max },
	[COLUMN_RESOLVER] = { .name = "RESOLVER",
			      .width = 15,
			      .wide = 23,
			      .wide_from = ROOMY,
			      .rank = 3,
			      .flags = COLUMN_NAME,
			      .get = get_resolver },
	[COLUMN_OP] = { .name = "OP",
			.width = 9,
			.wide = 12,
			.wide_from = ROOMY,
			.rank = 4,
			.flags = COLUMN_NAME,
			.get = get_op },
	[COLUMN_ALL_WAIT] = { .name = "ALL WAIT", .width = 8, .flags = COLUMN_RIGHT, .get = get_all_wait },
	[COLUMN_QUEUED] = { .name = "QUEUED", .width = 7, .rank = 5, .flags = COLUMN_RIGHT, .get = get_queued },
	[COLUMN_HANDLED] = { .name = "HANDLED", .width = 7, .rank = 6, .flags = COLUMN_RIGHT, .get = get_handled },
	{ .name = "TOTAL", .width = 7, .rank = 7, .flags = COLUMN_RIGHT, .get = get_total },
	{ .name = "AVG", .width = 7, .rank = 8, .flags = COLUMN_RIGHT, .get = get_avg },
	{ .name = "MINOR", .width = 9, .rank = 11, .flags = COLUMN_RIGHT, .get = get_minor },
	{ .name = "MISSING", .width = 9, .rank = 12, .flags = COLUMN_RIGHT, .get = get_missing },
	{ .name = "WP", .width = 8, .rank = 13, .flags = COLUMN_RIGHT, .get = get_wp },
	{ .name = "RWP", .width = 8, .rank = 14, .flags = COLUMN_RIGHT, .get = get_rwp },
	{ .name = "READER", .width = 23, .rank = 15, .flags = COLUMN_NAME, .get = get_reader },
};

static struct columns columns(const struct picture *p)
{
	const struct table_state *t = &p->table;

	return (struct columns){
		.p = p,
		.all = all_columns,
		.nr = sizeof(all_columns) / sizeof(all_columns[0]),
		/* Grouped by resolver, the first column has it. Only a team waits as a whole. */
		.hidden = (t->grouping == BY_RESOLVER ? 1u << COLUMN_RESOLVER : 0) |
			  (t->grouping == BY_TEAM ? 0 : 1u << COLUMN_ALL_WAIT),
		/* A resolver has a row for each ioctl; and these say whether it is slow, or not asked. */
		.needed = t->grouping == BY_RESOLVER ? 1u << COLUMN_OP | 1u << COLUMN_QUEUED | 1u << COLUMN_HANDLED : 0,
		.name = groupings[t->grouping].head,
		.margin = 1,
		.least = groupings[t->grouping].least,
		/* A very wide table is hard to read: the first column does not take all of the room. */
		.most = groupings[t->grouping].least + groupings[t->grouping].more,
		.sorted = t->sort[t->grouping].column,
		.ascending = t->sort[t->grouping].ascending,
	};
}

/* ---- which rows, in which order ---- */

static void sort(struct picture *p, int column)
{
	struct table_state *t = &p->table;
	bool again = column == t->sort[t->grouping].column;

	/* Names in ascending order, numbers in descending order. */
	t->sort[t->grouping].ascending = again ? !t->sort[t->grouping].ascending : !column;
	t->sort[t->grouping].column = column;
}

static void gather(struct picture *p, int width)
{
	/* Static, because it is large; there is only one view. */
	static struct sort_key keys[VIEW_MAX_GROUPS + 1];
	const struct groups *gs = &p->m->groups[p->table.grouping];
	struct columns c = columns(p);
	size_t nr = 0;

	(void)width;
	p->table.nr_all = p->table.faults = 0;
	for (uint32_t i = 0; i <= gs->nr; i++) {
		const struct group *g = &gs->rows[i];

		p->table.nr_all += g->counts.faults > 0;
		if (!g->counts.faults || (*p->filter && !columns_match(&c, g, p->filter)))
			continue;
		p->table.faults += g->counts.faults;
		columns_key(&c, g, &keys[nr]);
		keys[nr++].row = i;
	}
	columns_sort(&c, keys, nr);
	p->table.nr_rows = nr;
	for (size_t i = 0; i < nr; i++)
		p->table.rows[i] = keys[i].row;
}

static const struct group *group_at(const struct picture *p, size_t i)
{
	return &p->m->groups[p->table.grouping].rows[p->table.rows[i]];
}

/* ---- the pane ---- */

static size_t nr_rows(const struct picture *p)
{
	return p->table.nr_rows;
}

static const void *row_at(const struct picture *p, size_t i)
{
	return group_at(p, i);
}

static void put_title(const struct picture *p, int width, enum style style, struct line *l)
{
	const struct table_state *t = &p->table;
	const char *sep = "";
	char shown[NUM_SIZE], all[NUM_SIZE];

	line_addf(l, style, " by %s ", groupings[t->grouping].name);
	if (*p->filter) {
		line_addf(l, STYLE_WARN, "filter: %s ", p->filter);
		line_addf(l, STYLE_DIM, "%zu of %zu rows, %s of %s faults ", t->nr_rows, t->nr_all,
			  text_count(shown, t->faults, 9), text_count(all, p->m->all.faults, 9));
	} else if (width >= SCREEN_WIDE && !p->in_file) {
		line_add(l, STYLE_DIM, "(F5: ");
		for (int g = 1; g < NR_GROUPINGS; g++, sep = ", ")
			line_addf(l, STYLE_DIM, "%s%s", sep, groupings[(t->grouping + g) % NR_GROUPINGS].name);
		line_add(l, STYLE_DIM, ") ");
	}
}

static struct row_id identity(const struct picture *p, size_t i)
{
	const struct group *g = group_at(p, i);

	return (struct row_id){ g->key, g->key2 };
}

static bool mapping(const struct picture *p, size_t i, const struct mapping **ret)
{
	*ret = mappings_by_id(&p->m->mappings, (uint32_t)group_at(p, i)->key);
	return p->table.grouping == BY_MAPPING;
}

const struct pane pane_table = {
	.gather = gather,
	.nr_rows = nr_rows,
	.title = put_title,
	.columns = columns,
	.row = row_at,
	.sort = sort,
	.identity = identity,
	.mapping = mapping,
	.counted = true,
};
