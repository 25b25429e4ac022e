// SPDX-License-Identifier: GPL-2.0-or-later
/* The pane of waiting times. */
#include <stdio.h>

#include "cmd/duration.h"
#include "cmd/watch/totals.h"
#include "cmd/watch/view/pane_histogram.h"
#include "cmd/watch/view/text.h"

/* Maximum width of a bucket: a wider one is not easier to read. */
#define MAX_COLUMN 3

static void put_title(const struct picture *p, int width, enum style style, struct line *l)
{
	const struct uffdctl_watch_stats *st = &p->m->stats;
	uint64_t ended = totals_sum(st->ended, UFFDCTL_MAX_ENDS);
	uint64_t unknown = totals_grown(ended, totals_sum(st->buckets, UFFDCTL_NR_BUCKETS));
	char num[NUM_SIZE];

	line_add(l, style, width < 40 ? " waits " : " how long they waited ");
	line_addf(l, STYLE_DIM, "%s ended ", text_count(num, ended, 9));
	if (unknown)
		line_addf(l, STYLE_DIM, "(%s not measured) ", text_count(num, unknown, 9));
}

/* ---- on a screen: a column for each bucket, above an axis ---- */

/* "1µs", "33ms", each below the bucket that ends there. */
static void add_axis(int column, struct line *l)
{
	int step = column == 1 ? 5 : column == 2 ? 3 : 2, from = l->cols;
	unsigned int flags = DURATION_WHOLE | (l->utf8 ? DURATION_MICRO : 0);
	char bound[DURATION_SIZE];

	for (int i = 0; i < UFFDCTL_NR_BUCKETS - 1; i += step) {
		line_to(l, STYLE_PLAIN, from + i * column, " ");
		line_add(l, STYLE_DIM, duration_text(bound, uffdctl_bucket_bound_ns(i), flags));
	}
}

/* The part of a column in one line, in eighths. Without block characters, only halves can be shown. */
static const char *bar_cell(int eighths, bool utf8)
{
	if (utf8 || eighths <= 0)
		return text_shade(eighths, utf8);
	return eighths >= 7 ? "#" : eighths >= 4 ? ":" : ".";
}

/* @above: lines between this one and the axis; @height: of the tallest bar */
static void add_bars(const struct uffdctl_watch_stats *st, int above, int height, int column, struct line *l)
{
	uint64_t most = totals_most(st->buckets, UFFDCTL_NR_BUCKETS);

	for (int b = 0; b < UFFDCTL_NR_BUCKETS; b++) {
		int eighths = most ? (int)((double)st->buckets[b] * height * 8 / (double)most + 0.5) : 0;
		int left = (eighths ?: st->buckets[b] > 0) - above * 8;

		for (int c = 0; c < column - (column > 1); c++)
			line_add(l, STYLE_GOOD, bar_cell(left, l->utf8));
		if (column > 1)
			line_add(l, STYLE_PLAIN, " ");
	}
}

static void put_line(const struct picture *p, int i, int nr_lines, int width, struct line *l)
{
	int column = width / UFFDCTL_NR_BUCKETS, height = nr_lines - 1;

	column = column < MAX_COLUMN ? column : MAX_COLUMN;
	line_add(l, STYLE_PLAIN, " ");
	if (i == height)
		add_axis(column, l);
	else
		add_bars(&p->m->stats, height - 1 - i, height, column, l);
}

/* ---- as numbers, for a file ---- */

static size_t nr_rows(const struct picture *p)
{
	(void)p;
	return UFFDCTL_NR_BUCKETS;
}

static void put_row(const struct picture *p, size_t i, int width, struct line *l)
{
	const struct uffdctl_watch_stats *st = &p->m->stats;
	uint64_t bound = uffdctl_bucket_bound_ns((int)i);
	char num[NUM_SIZE];

	(void)width;
	line_field(l, STYLE_PLAIN, bound == UFFDCTL_UNKNOWN ? "more" : text_wait(num, bound, l->utf8), 7, true);
	line_field(l, STYLE_PLAIN, text_count(num, st->buckets[i], 12), 13, true);
	line_add(l, STYLE_PLAIN, " ");
	line_bar(l, STYLE_GOOD, st->buckets[i], totals_most(st->buckets, UFFDCTL_NR_BUCKETS), 60);
}

const struct pane pane_histogram = { .nr_rows = nr_rows, .draw_row = put_row, .title = put_title, .body = put_line };
