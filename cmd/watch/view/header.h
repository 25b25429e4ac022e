/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The top of the view: what is watched, rates, and waits. */
#ifndef CMD_VIEW_HEADER_H
#define CMD_VIEW_HEADER_H

#include "cmd/watch/view/line.h"
#include "cmd/watch/view/picture.h"

enum {
	VIEW_HEADER = 3, /* lines */
};

void header_line(const struct picture *p, int i, int width, struct line *l);

#endif
