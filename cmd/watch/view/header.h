/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The top of the view: what is watched, rates, and waits. */
#ifndef CMD_VIEW_HEADER_H
#define CMD_VIEW_HEADER_H

#include "cmd/watch/view/line.h"
#include "cmd/watch/view/picture.h"

enum {
	HEADER_SMALL = 3, /* lines */
	HEADER_FULL = 6,  /* with all percentiles */
	HEADER_ROOM = 20, /* lines of a screen with a full one */
};

/* @nr_lines: HEADER_SMALL or HEADER_FULL */
void header_line(const struct picture *p, int i, int nr_lines, int width, struct line *l);
/* A small one shows one of so many: the waits of each part, since the beginning, and in the last interval. */
#define NR_HEADER_WAITS (2 * NR_WAITS)

#endif
