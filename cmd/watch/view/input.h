/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A key or a click, and who gets it. */
#ifndef CMD_VIEW_INPUT_H
#define CMD_VIEW_INPUT_H

#include "cmd/watch/view/state.h"

/* @code: as getch(3) has it */
enum redraw input(struct view *v, int code);

#endif
