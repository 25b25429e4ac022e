// SPDX-License-Identifier: GPL-2.0-or-later
/* The pane of ioctls that failed: who got which error. It is there only if there are any. */
#include "cmd/watch/parts.h"
#include "cmd/watch/view/pane_failures.h"

static void get_error(const struct picture *p, const void *row, struct field *f)
{
	const struct failure *r = row;
	char number[16];

	(void)p;
	field_word(f, r->totals.error ? error_name(r->totals.error, number) : NULL);
}

COLUMN_GET(thread, failure, field_pid_and_name(f, r->totals.tid, r->totals.comm));
COLUMN_GET(op, failure, field_word(f, r->totals.error ? uffdctl_ioctl_name(r->totals.op) : NULL));
COLUMN_GET(count, failure, field_count(f, r->count));

static const struct view_column all_columns[] = {
	{ .name = "WHO FAILED", .width = 23, .flags = COLUMN_NAME, .get = get_thread },
	{ .name = "IOCTL", .width = 12, .flags = COLUMN_NAME, .get = get_op },
	{ .name = "ERROR", .width = 12, .flags = COLUMN_NAME, .get = get_error },
	{ .name = "COUNT", .width = 9, .flags = COLUMN_RIGHT, .get = get_count },
};

static struct columns columns(const struct picture *p)
{
	return (struct columns){ .p = p,
				 .all = all_columns,
				 .nr = sizeof(all_columns) / sizeof(all_columns[0]),
				 .margin = 1,
				 .sorted = -1 };
}

static size_t nr_rows(const struct picture *p)
{
	return failures_nr(&p->m->failures);
}

static const void *row_at(const struct picture *p, size_t i)
{
	return &p->m->failures.list[i];
}

static void put_title(const struct picture *p, int width, enum style style, struct line *l)
{
	char num[NUM_SIZE];

	(void)width;
	line_add(l, style, " ioctls that failed ");
	line_addf(l, STYLE_WARN, "%s in all ", text_count(num, p->m->stats.failed_ioctls, 9));
}

static struct row_id identity(const struct picture *p, size_t i)
{
	const struct uffdctl_failure_totals *t = &p->m->failures.list[i].totals;

	return (struct row_id){ (uint64_t)t->tid, (uint64_t)t->op << 32 | (uint32_t)t->error };
}

const struct pane pane_failures = {
	.nr_rows = nr_rows,
	.title = put_title,
	.columns = columns,
	.row = row_at,
	.identity = identity,
	.counted = true,
};
