/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The view on the terminal: begin, draw, end. Only here and in view_keys.c is it ncurses. */
#ifndef CMD_VIEW_DRAW_H
#define CMD_VIEW_DRAW_H

#include "cmd/watch/view/view.h"

int screen_begin(bool color);
void screen_end(void);
void screen_draw(struct view *v, bool all);
/* The next key, or a negative number when there is none. Never waits. */
int screen_key(void);

#endif
