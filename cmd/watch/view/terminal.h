/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The terminal: begin, end, keys, sizes, lines in their styles. */
#ifndef CMD_VIEW_TERMINAL_H
#define CMD_VIEW_TERMINAL_H

#include "cmd/terminal.h"
#include "cmd/watch/view/line.h"

int terminal_begin(bool color);
void terminal_end(void);
/* The next key, as from getch(3), or a negative number if there is none. Never waits. */
int terminal_key(void);

void terminal_size(int *height, int *width);
/* Begin with an empty screen; @all: redraw everything. */
void terminal_clear(bool all);
void terminal_put(int y, int x, const struct line *l);
void terminal_refresh(void);

#endif
