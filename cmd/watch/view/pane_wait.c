// SPDX-License-Identifier: GPL-2.0-or-later
/* The pane of waiters; the one that has slept longest is first. */
#include <inttypes.h>

#include "cmd/watch/clock.h"
#include "cmd/watch/view/labels.h"
#include "cmd/watch/view/pane_wait.h"

/* When a wait is suspicious, and when it is bad: a handler answers within milliseconds. */
#define WARN_NS (1 * SECOND)
#define BAD_NS (10 * SECOND)

/* On a busy machine, scans are less frequent; from this age on, the title shows how old the rows are. */
#define OLD_NS (2 * SECOND)

/* ---- columns: rows are struct waiter ---- */

bool is_stuck(const struct waiter *w)
{
	return w->slept_ns != UFFDCTL_UNKNOWN && w->slept_ns >= WARN_NS;
}

static enum style style_of(const struct waiter *w)
{
	if (!is_stuck(w))
		return STYLE_PLAIN;
	return w->slept_ns < BAD_NS ? STYLE_WARN : STYLE_BAD;
}

/* Visible without colours, too. */
static void get_mark(const struct picture *p, const void *row, struct field *f)
{
	enum style style = style_of(row);

	(void)p;
	field_word(f, style == STYLE_BAD ? "!!" : style == STYLE_WARN ? "!" : "");
	f->style = style;
}

COLUMN_GET(tid, waiter, field_format(f, "%d", r->tid));
COLUMN_GET(comm, waiter, field_name(f, r->comm));
COLUMN_GET(slept, waiter, (field_wait(f, r->slept_ns), f->style = style_of(r)));
COLUMN_GET(kind, waiter, field_word(f, uffdctl_kind_name(r->kind)));
COLUMN_GET(access, waiter, field_word(f, uffdctl_access_name(r->access)));
COLUMN_GET(state, waiter, field_word(f, uffdctl_wait_state_name(r->state)));
COLUMN_GET(holder, waiter, r->holder_pid ? field_format(f, "%d:%d", r->holder_pid, r->holder_fd) : field_word(f, NULL));
COLUMN_GET(addr, waiter, r->addr == UFFDCTL_UNKNOWN ? field_word(f, NULL) : field_format(f, "%" PRIx64, r->addr));
COLUMN_GET(where, waiter, label_place(model_find(p->m, r->target_pid, r->addr), r->name, r->offset, r->addr, f));

static const struct view_column all_columns[] = {
	{ .name = "", .width = 2, .flags = COLUMN_TIGHT, .get = get_mark },
	{ .name = "TID", .width = 7, .flags = COLUMN_RIGHT, .get = get_tid },
	{ .name = "COMM", .width = 10, .wide = 15, .wide_from = 66, .get = get_comm },
	{ .name = "SLEPT", .width = 7, .flags = COLUMN_RIGHT, .get = get_slept },
	{ .name = "KIND", .width = 7, .from = 60, .get = get_kind },
	{ .name = "ACCESS", .width = 6, .from = 80, .get = get_access },
	{ .name = "STATE", .width = 9, .get = get_state },
	{ .name = "HOLDER", .width = 13, .from = 93, .rank = 1, .get = get_holder },
	{ .name = "ADDR", .width = 17, .from = 105, .get = get_addr },
	{ .name = "WHERE", .flags = COLUMN_GROWS | COLUMN_TIGHT, .get = get_where },
};

static struct columns columns(const struct picture *p)
{
	return (struct columns){ .p = p,
				 .all = all_columns,
				 .nr = sizeof(all_columns) / sizeof(all_columns[0]),
				 .least = 20,
				 .most = LINE_COLS,
				 .sorted = -1 };
}

/* ---- the pane ---- */

static size_t nr_rows(const struct picture *p)
{
	return p->m->scan.nr_waiters;
}

static const void *row_at(const struct picture *p, size_t i)
{
	return &p->m->scan.waiters[i];
}

static void put_title(const struct picture *p, int width, enum style style, struct line *l)
{
	const struct scan *scan = &p->m->scan;
	char num[NUM_SIZE];

	(void)width;
	line_add(l, style, " waiting longest ");
	if (!scan->ns)
		line_add(l, STYLE_DIM, "(looking) ");
	else if (scan->nr_waiting)
		line_addf(l, STYLE_WARN, "%s waiting ", text_count(num, scan->nr_waiting, 9));
	else
		line_add(l, STYLE_DIM, "none ");
	if (scan->ns && p->m->now_ns > scan->ns + OLD_NS)
		line_addf(l, STYLE_DIM, "(%.0f s ago) ", (double)(p->m->now_ns - scan->ns) / SECOND);
}

static struct row_id identity(const struct picture *p, size_t i)
{
	const struct waiter *w = &p->m->scan.waiters[i];

	return (struct row_id){ (uint64_t)w->tid, w->addr };
}

static bool mapping(const struct picture *p, size_t i, const struct mapping **ret)
{
	const struct waiter *w = &p->m->scan.waiters[i];

	*ret = model_find(p->m, w->target_pid, w->addr);
	return true;
}

const struct pane pane_wait = {
	.nr_rows = nr_rows,
	.title = put_title,
	.columns = columns,
	.row = row_at,
	.identity = identity,
	.mapping = mapping,
	.controlled = true,
};
