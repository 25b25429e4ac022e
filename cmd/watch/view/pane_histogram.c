// SPDX-License-Identifier: GPL-2.0-or-later
/* The pane of waiting times. */
#include <stdio.h>
#include <string.h>

#include "cmd/duration.h"
#include "cmd/watch/totals.h"
#include "cmd/watch/view/pane_histogram.h"
#include "cmd/watch/view/text.h"

/* Maximum width of an octave: a wider one is not easier to read. */
#define MAX_COLUMN 3

static void put_title(const struct picture *p, int width, enum style style, struct line *l)
{
	const struct uffdctl_watch_stats *st = &p->m->stats;
	uint64_t ended = totals_sum(st->ended, UFFDCTL_MAX_ENDS);
	uint64_t unknown = totals_grown(ended, totals_sum(st->buckets, UFFDCTL_NR_BUCKETS));
	char num[NUM_SIZE];

	line_add(l, style, width < 40 ? " waits " : " how long they waited ");
	line_addf(l, STYLE_DIM, "%s ended ", text_count(num, ended, 9));
	text_count(num, unknown, 9);
	if (unknown && l->cols + (int)strlen(num) + (int)strlen("( not measured) ") <= l->max)
		line_addf(l, STYLE_DIM, "(%s not measured) ", num);
}

/* ---- octaves: up to 2^10 ns, 2^11 ns, … and more; a bucket may be any part of one ---- */

/* The longest wait in an octave. */
static uint64_t octave_bound_ns(int octave)
{
	return octave < NR_OCTAVES - 1 ? UINT64_C(1024) << octave : UFFDCTL_UNKNOWN;
}

static void count_octaves(const uint64_t *buckets, uint64_t *ret)
{
	int octave = 0;

	memset(ret, 0, NR_OCTAVES * sizeof(*ret));
	for (unsigned int i = 0; i < UFFDCTL_NR_BUCKETS; i++) {
		while (uffdctl_bucket_bound_ns(i) > octave_bound_ns(octave))
			octave++;
		ret[octave] += buckets[i];
	}
}

/* ---- on a screen: a column for each octave, above an axis ---- */

/* "1µs", "33ms", each below the octave that ends there. */
static void add_axis(int column, struct line *l)
{
	int step = column == 1 ? 5 : column == 2 ? 3 : 2, from = l->cols;
	unsigned int flags = DURATION_WHOLE | (l->utf8 ? DURATION_MICRO : 0);
	char bound[DURATION_SIZE];

	for (int i = 0; i < NR_OCTAVES - 1; i += step) {
		line_to(l, STYLE_PLAIN, from + i * column, " ");
		line_add(l, STYLE_DIM, duration_text(bound, octave_bound_ns(i), flags));
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
	uint64_t octaves[NR_OCTAVES], most;

	count_octaves(st->buckets, octaves);
	most = totals_most(octaves, NR_OCTAVES);
	for (int i = 0; i < NR_OCTAVES; i++) {
		int eighths = most ? (int)((double)octaves[i] * height * 8 / (double)most + 0.5) : 0;
		int left = (eighths ?: octaves[i] > 0) - above * 8;

		for (int c = 0; c < column - (column > 1); c++)
			line_add(l, STYLE_GOOD, bar_cell(left, l->utf8));
		if (column > 1)
			line_add(l, STYLE_PLAIN, " ");
	}
}

static void put_line(const struct picture *p, int i, int nr_lines, int width, struct line *l)
{
	int column = width / NR_OCTAVES, height = nr_lines - 1;

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
	return NR_OCTAVES;
}

static void put_row(const struct picture *p, size_t i, int width, struct line *l)
{
	uint64_t bound = octave_bound_ns((int)i), octaves[NR_OCTAVES];
	char num[NUM_SIZE];

	(void)width;
	count_octaves(p->m->stats.buckets, octaves);
	line_field(l, STYLE_PLAIN, bound == UFFDCTL_UNKNOWN ? "more" : text_wait(num, bound, l->utf8), 7, true);
	line_field(l, STYLE_PLAIN, text_count(num, octaves[i], 12), 13, true);
	line_add(l, STYLE_PLAIN, " ");
	line_bar(l, STYLE_GOOD, octaves[i], totals_most(octaves, NR_OCTAVES), 60);
}

const struct pane pane_histogram = { .nr_rows = nr_rows, .draw_row = put_row, .title = put_title, .body = put_line };
