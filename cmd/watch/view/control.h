/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch --control: continuing minor faults that wait, each time after a question. */
#ifndef CMD_VIEW_CONTROL_H
#define CMD_VIEW_CONTROL_H

#include "cmd/watch/view/state.h"

/* That of the selected thread, or all in the selected mapping: asks, or says why not. */
void control_ask(struct view *v);
void control_ask_all(struct view *v);
/* Frees what was asked about. */
void control_end(struct view *v);

#endif
