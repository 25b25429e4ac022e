// SPDX-License-Identifier: GPL-2.0-or-later
/* The pane of the last faults. */
#include <inttypes.h>

#include "cmd/watch/clock.h"
#include "cmd/watch/view/labels.h"
#include "cmd/watch/view/pane_log.h"

/* ---- columns: rows are struct event ---- */

static void get_start(const struct picture *p, const void *row, struct field *f)
{
	const struct event *e = row;
	uint64_t at = e->start_ns > p->m->began_ns ? e->start_ns - p->m->began_ns : 0;
	char uptime[NUM_SIZE];

	field_format(f, " %s.%03" PRIu64, text_uptime(uptime, at), at / MILLISECOND % 1000);
	f->style = STYLE_DIM;
}

COLUMN_GET(tid, event, field_format(f, "%d", r->tid));
COLUMN_GET(comm, event, field_name(f, r->comm));
COLUMN_GET(kind, event, field_word(f, uffdctl_kind_name(r->kind)));
COLUMN_GET(access, event, field_word(f, uffdctl_access_name(r->access)));
COLUMN_GET(wait, event, (field_wait(f, r->wait_ns), f->style = STYLE_STRONG));
COLUMN_GET(how, event, field_word(f, r->op ?: uffdctl_end_name(r->end)));
COLUMN_GET(resolver, event, field_pid_and_name(f, r->resolver, r->resolver_comm));
COLUMN_GET(reader, event, field_pid_and_name(f, r->reader, r->reader_comm));

/* Only for the filter: it finds a mapping by the same name in the table and here. */
static void get_mapping(const struct picture *p, const void *row, struct field *f)
{
	const struct event *e = row;
	const struct mapping *map = mappings_by_id(&p->m->mappings, e->mapping);

	if (map)
		label_mapping(p, map, f);
}

static void get_where(const struct picture *p, const void *row, struct field *f)
{
	const struct event *e = row;
	const struct mapping *map = mappings_by_id(&p->m->mappings, e->mapping);

	label_place(map, map ? map->name : NULL, e->offset, e->addr, f);
}

static const struct view_column all_columns[] = {
	{ .name = "TIME", .width = 10, .flags = COLUMN_RIGHT | COLUMN_LONG, .get = get_start },
	{ .name = "TID", .width = 7, .flags = COLUMN_RIGHT | COLUMN_NAME, .get = get_tid },
	{ .name = "COMM", .width = 10, .wide = 15, .wide_from = SCREEN_WIDE, .flags = COLUMN_NAME, .get = get_comm },
	{ .name = "KIND", .width = 7, .get = get_kind },
	{ .name = "ACCESS", .width = 5, .from = SCREEN_WIDE, .get = get_access },
	{ .name = "WAIT", .width = 7, .flags = COLUMN_RIGHT, .get = get_wait },
	{ .name = "ENDED", .width = 10, .flags = COLUMN_LONG | COLUMN_NAME, .from = SCREEN_WIDE, .get = get_how },
	{ .name = "RESOLVER",
	  .width = 18,
	  .wide = 23,
	  .wide_from = 140,
	  .from = 120,
	  .flags = COLUMN_NAME,
	  .get = get_resolver },
	{ .name = "READER", .width = 23, .from = 160, .flags = COLUMN_NAME, .get = get_reader },
	{ .name = "WHERE", .flags = COLUMN_GROWS | COLUMN_TIGHT | COLUMN_NAME, .get = get_where },
	{ .name = "MAPPING", .flags = COLUMN_NAME, .from = LINE_COLS + 1, .get = get_mapping },
};

static struct columns columns(const struct picture *p)
{
	return (struct columns){ .p = p,
				 .all = all_columns,
				 .nr = sizeof(all_columns) / sizeof(all_columns[0]),
				 .most = LINE_COLS,
				 .sorted = -1 };
}

/* ---- the pane ---- */

static void gather(struct picture *p, int width)
{
	struct columns c = columns(p);

	(void)width;
	p->log.nr_rows = 0;
	for (size_t i = 0; i < model_nr_events(p->m); i++)
		if (!*p->filter || columns_match(&c, model_event(p->m, i), p->filter))
			p->log.rows[p->log.nr_rows++] = (uint16_t)i;
}

static size_t nr_rows(const struct picture *p)
{
	return p->log.nr_rows;
}

static const void *row_at(const struct picture *p, size_t i)
{
	return model_event(p->m, p->log.rows[i]);
}

static void put_title(const struct picture *p, int width, enum style style, struct line *l)
{
	(void)width;
	line_add(l, style, " last faults ");
	if (!*p->filter)
		return;
	line_addf(l, STYLE_WARN, "filter: %s ", p->filter);
	line_addf(l, STYLE_DIM, "%zu of %zu faults ", nr_rows(p), model_nr_events(p->m));
}

/* Counted from the newest row, which is the last, so that a selected row stays selected while it moves. */
static struct row_id identity(const struct picture *p, size_t i)
{
	return (struct row_id){ nr_rows(p) - i, 0 };
}

const struct pane pane_log = {
	.gather = gather,
	.nr_rows = nr_rows,
	.title = put_title,
	.columns = columns,
	.row = row_at,
	.identity = identity,
	.headless = true,
	.follows_end = true,
};
