// SPDX-License-Identifier: GPL-2.0-or-later
/* The layout of the panes, on a terminal of any size. */
#include <string.h>

#include "cmd/watch/view/header.h"
#include "cmd/watch/view/layout.h"
#include "cmd/watch/view/pane_histogram.h"
#include "cmd/watch/view/text.h"

/* Below this height the table is useless: shrink other panes first. */
#define TABLE_MIN 5

struct wishes {
	int wait, histogram, heat, failures, log; /* heights, 0 for none */
};

static int pick(int height, int small, int middle, int large, int huge)
{
	return height < 20 ? small : height < 30 ? middle : height < 45 ? large : huge;
}

/* One, two or three columns an octave, and a line and blanks beside. */
static int histogram_width(int width)
{
	return 3 + NR_OCTAVES * (width >= 190 ? 3 : width >= 120 ? 2 : 1);
}

static void wish(int width, int height, const struct layout_needs *needs, struct wishes *ret)
{
	int heat = pick(height, 1, 3, 5, 8);

	if (needs->nr_mappings < (size_t)heat)
		heat = needs->nr_mappings ? (int)needs->nr_mappings : 1;
	ret->wait = pick(height, 3, 6, 8, 12);
	/* Who is stuck is what the user looks for. */
	if (needs->nr_stuck + 2 > (size_t)ret->wait)
		ret->wait = needs->nr_stuck + 2 < (size_t)height / 2 ? (int)needs->nr_stuck + 2 : height / 2;
	ret->heat = 1 + heat;
	ret->histogram = width < SCREEN_WIDE && height >= 32 ? 8 : 0;
	/* Title and heads. */
	ret->failures = pick(height, 0, 1, 2, 4);
	if (needs->nr_failures < (size_t)ret->failures)
		ret->failures = (int)needs->nr_failures;
	ret->failures += ret->failures ? 2 : 0;
	ret->log = needs->log == LOG_OFF || (needs->log == LOG_AUTO && height < 40) ? 0 : 1 + pick(height, 2, 4, 6, 10);
}

static int lines_of(const struct wishes *w)
{
	return w->wait + w->histogram + w->heat + w->failures + w->log + TABLE_MIN;
}

static void shrink(struct wishes *w, int *lines, int least, int height)
{
	while (*lines > least && lines_of(w) > height)
		--*lines;
}

/*
 * A log that nobody asked for first, then the histogram, then lines of the others, then what failed (the header has
 * its number), then any log.
 */
static void give_way(struct wishes *w, enum log_wish log, int height)
{
	if (log != LOG_ON && lines_of(w) > height)
		w->log = 0;
	if (lines_of(w) > height)
		w->histogram = 0;
	shrink(w, &w->heat, 2, height);
	if (lines_of(w) > height)
		w->failures = 0;
	shrink(w, &w->wait, w->log ? 4 : 3, height);
	shrink(w, &w->log, w->log ? 3 : 0, height);
	shrink(w, &w->wait, 3, height);
	if (lines_of(w) > height)
		w->log = 0;
}

void layout_make(int width, int height, const struct layout_needs *needs, struct layout *ret)
{
	int y = height < HEADER_ROOM ? HEADER_SMALL : HEADER_FULL, body = height - y - 1;
	struct box *b = ret->boxes;
	struct wishes w;

	memset(ret, 0, sizeof(*ret));
	ret->width = width;
	ret->height = height;
	ret->header = y;
	ret->too_small = width < VIEW_MIN_WIDTH || height < VIEW_MIN_HEIGHT;
	if (ret->too_small)
		return;
	wish(width, height, needs, &w);
	give_way(&w, needs->log, body);

	b[PANE_WAIT] = (struct box){ y, 0, w.wait, width, w.wait > 3 };
	if (width >= SCREEN_WIDE) {
		b[PANE_WAIT].width = width - histogram_width(width);
		b[PANE_HISTOGRAM] = (struct box){ y, b[PANE_WAIT].width, w.wait, width - b[PANE_WAIT].width, false };
	}
	y += w.wait;
	if (w.histogram)
		b[PANE_HISTOGRAM] = (struct box){ y, 0, w.histogram, width, false };
	y += w.histogram;
	b[PANE_HEAT] = (struct box){ y, 0, w.heat, width, false };
	y += w.heat;
	b[PANE_TABLE] = (struct box){ y, 0, height - 1 - w.log - w.failures - y, width, true };
	y += b[PANE_TABLE].height;
	if (w.failures)
		b[PANE_FAILURES] = (struct box){ y, 0, w.failures, width, true };
	y += w.failures;
	if (w.log)
		b[PANE_LOG] = (struct box){ y, 0, w.log, width, false };
}

int layout_log_lines(int width, const struct layout_needs *needs)
{
	struct layout_needs with_log = *needs;
	int height = VIEW_MIN_HEIGHT;
	struct layout l = {};

	with_log.log = LOG_ON;
	while (layout_make(width, height, &with_log, &l), !l.boxes[PANE_LOG].height)
		height++;
	return height;
}

int box_rows(const struct box *b)
{
	int rows = b->height - 1 - b->heads;

	return rows > 0 ? rows : 0;
}
