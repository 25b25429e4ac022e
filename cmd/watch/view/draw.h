/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The whole screen: header, panes, the line at the bottom, and questions above them. */
#ifndef CMD_VIEW_DRAW_H
#define CMD_VIEW_DRAW_H

#include "cmd/watch/view/state.h"

/* @all: even what is on the screen already */
void draw(struct view *v, bool all);

#endif
