// SPDX-License-Identifier: GPL-2.0-or-later
/* The heat map as a picture. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cmd/duration.h"
#include "cmd/report/picture.h"
#include "lib/cleanup.h"

/* Sizes in pixels. */
enum {
	LEFT = 290,
	TOP = 34,
	WIDTH = 900,
	ROW = 3,
	GAP = 16, /* above a band, for its name */
	BOTTOM = 70,
	LEVELS = 9,
};

static const char *const shades[LEVELS] = { "#fde8c8", "#fdd49e", "#fdbb84", "#fc8d59", "#ef6548",
					    "#d7301f", "#b30000", "#7f0000", "#3f0000" };

/* Each level has a few times as many faults as the one before. */
static int level_of(uint32_t faults, uint32_t most)
{
	return most <= 1 ? LEVELS - 1 : (int)(log(faults) / log(most) * (LEVELS - 1) + 0.5);
}

static void put_text(const char *raw)
{
	_cleanup_free_ char *text = NULL;

	if (uffdctl_escape(raw, &text) < 0)
		return;
	for (const char *p = text; *p; p++) {
		switch (*p) {
		case '<':
			fputs("&lt;", stdout);
			break;
		case '>':
			fputs("&gt;", stdout);
			break;
		case '&':
			fputs("&amp;", stdout);
			break;
		default:
			putchar(*p);
		}
	}
}

static double x_of(const struct heat *h, unsigned int column)
{
	return LEFT + (double)column * WIDTH / h->nr_columns;
}

static double y_of(const struct heat *h, const struct heat_band *b, unsigned int row)
{
	return TOP + (double)((b - h->bands) + 1) * GAP + (double)row * ROW;
}

static void put_cells(const struct heat *h, const struct heat_band *b, uint32_t most)
{
	for (unsigned int row = b->row; row < b->row + b->nr_rows; row++) {
		for (unsigned int from = 0, to; from < h->nr_columns; from = to) {
			uint32_t faults = heat_cell(h, from, row)->faults;
			int level = faults ? level_of(faults, most) : -1;

			/* Cells of the same shade become one. */
			for (to = from + 1; to < h->nr_columns; to++) {
				faults = heat_cell(h, to, row)->faults;
				if ((faults ? level_of(faults, most) : -1) != level)
					break;
			}
			if (level >= 0)
				printf("<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%d\" fill=\"%s\"/>\n",
				       x_of(h, from), y_of(h, b, row), x_of(h, to) - x_of(h, from), ROW, shades[level]);
		}
	}
}

static void put_band(const struct heat *h, const struct heat_band *b, uint32_t most)
{
	double y = y_of(h, b, b->row);

	printf("<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%u\" fill=\"#f4f4f4\"/>\n", LEFT, y, WIDTH,
	       b->nr_rows * ROW);
	put_cells(h, b, most);
	printf("<text x=\"%d\" y=\"%.1f\">", LEFT, y - 4);
	put_text(b->mapping->key.text && *b->mapping->key.text ? b->mapping->key.text : "-");
	printf(" (process %d, %" PRIu64 " KiB a row, %" PRIu64 " faults)</text>\n", b->mapping->key.pid,
	       b->row_bytes / 1024, b->mapping->faults);
	printf("<text x=\"%d\" y=\"%.1f\" class=\"r\">%" PRIx64 "</text>\n", LEFT - 6, y + 9, b->start);
	if (b->nr_rows * ROW >= 24)
		printf("<text x=\"%d\" y=\"%.1f\" class=\"r\">%" PRIx64 "</text>\n", LEFT - 6, y + b->nr_rows * ROW,
		       b->end);
}

static void put_time_axis(const struct heat *h, double y)
{
	double step = (double)h->column_ns * h->nr_columns / 10 / 1e9;
	int digits = step < 1e-7 ? 9 : step >= 10 ? 0 : 1 - (int)floor(log10(step));

	for (unsigned int i = 0; i <= 10; i++) {
		uint64_t ns = h->from_ns + h->column_ns * h->nr_columns * i / 10;
		double x = LEFT + WIDTH * i / 10.0;

		printf("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#555\"/>"
		       "<text x=\"%.1f\" y=\"%.1f\" class=\"m\">%.*f s</text>\n",
		       x, y, x, y + 5, x, y + 17, digits, (double)ns / 1e9);
	}
	printf("<text x=\"%d\" y=\"%.1f\" class=\"m\">time since watching began</text>\n", LEFT + WIDTH / 2, y + 32);
}

static void put_legend(uint32_t most, double y)
{
	printf("<text x=\"%d\" y=\"%.1f\" class=\"r\">faults a cell: 1</text>\n", LEFT - 6, y + 10);
	for (int i = 0; i < LEVELS; i++)
		printf("<rect x=\"%d\" y=\"%.1f\" width=\"20\" height=\"12\" fill=\"%s\"/>\n", LEFT + i * 20, y,
		       shades[i]);
	printf("<text x=\"%d\" y=\"%.1f\">%" PRIu32 "</text>\n", LEFT + LEVELS * 20 + 6, y + 10, most);
}

static int put_svg(const struct report *r, struct digest *d, const struct heat *h)
{
	double bottom = TOP + (double)h->nr_bands * GAP + (double)h->nr_rows * ROW + 8;
	uint32_t most = heat_most(h);
	char cell[DURATION_SIZE], wall[WALL_SIZE];

	printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
	       "font-family=\"sans-serif\" font-size=\"11\">\n"
	       "<style>.r{text-anchor:end}.m{text-anchor:middle}</style>\n"
	       "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n<text x=\"10\" y=\"20\" font-size=\"14\">",
	       LEFT + WIDTH + 60, bottom + BOTTOM);
	put_text(r->recording->files[0].path);
	printf(": %" PRIu64 " faults, %s, %s a column</text>\n", d->recording->nr_selected,
	       wall_text(wall, r->recording->info.wall_ns), duration_text(cell, h->column_ns, 0));
	for (unsigned int i = 0; i < h->nr_bands; i++)
		put_band(h, &h->bands[i], most);
	put_time_axis(h, bottom);
	put_legend(most, bottom + 46);
	puts("</svg>");
	return 0;
}

int report_svg(const struct report *r)
{
	return picture_make(r, 300, 160, put_svg);
}
