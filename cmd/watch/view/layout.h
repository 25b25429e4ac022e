/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The layout of the panes, on a terminal of any size. */
#ifndef CMD_VIEW_LAYOUT_H
#define CMD_VIEW_LAYOUT_H

#include "cmd/watch/view/panes.h"

enum {
	VIEW_MIN_WIDTH = 60,
	VIEW_MIN_HEIGHT = 15,
};

/* The first line is the title; with heads, the second names the columns. height 0: not there. */
struct box {
	int y, x, height, width;
	bool heads;
};

struct layout {
	int width, height;
	int header; /* lines */
	bool too_small;
	struct box boxes[NR_PANES];
};

enum log_wish {
	LOG_AUTO, /* where there is room */
	LOG_ON,
	LOG_OFF
};

/* What there is to show. */
struct layout_needs {
	size_t nr_mappings;
	size_t nr_failures;
	size_t nr_stuck; /* threads that wait so long that their rows do not come and go */
	enum log_wish log;
};

void layout_make(int width, int height, const struct layout_needs *needs, struct layout *ret);
/* The lines of the smallest screen of this width that has room for the log. */
int layout_log_lines(int width, const struct layout_needs *needs);
/* The number of rows that fit in a pane. */
int box_rows(const struct box *b);

#endif
