/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dispatches a key or a click. */
#ifndef CMD_VIEW_INPUT_H
#define CMD_VIEW_INPUT_H

#include "cmd/watch/view/state.h"

/* @code: as from getch(3) */
enum redraw input(struct view *v, int code);

#endif
