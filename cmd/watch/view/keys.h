/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys: their actions, and their texts in the help and in the line at the bottom. */
#ifndef CMD_VIEW_KEYS_H
#define CMD_VIEW_KEYS_H

#include "cmd/watch/view/state.h"

#define CTRL(c) ((c)&31)
#define KEY_ESCAPE 27

enum redraw keys_press(struct view *v, int code);

/* Draw the line at the bottom; and handle a click on it. */
void keys_bar(const struct view *v, int width, struct line *l);
enum redraw keys_bar_click(struct view *v, int x);

size_t keys_help_lines(const struct view *v);
void keys_help_line(const struct view *v, size_t i, struct line *l);

#endif
