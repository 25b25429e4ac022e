/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch --control: continues waiting minor faults, each time after a confirmation. */
#ifndef CMD_VIEW_CONTROL_H
#define CMD_VIEW_CONTROL_H

#include "cmd/watch/view/state.h"

/*
 * Ask whether to continue the fault of the selected thread, or all in the selected mapping; or show why that is not
 * possible.
 */
void control_ask(struct view *v);
void control_ask_all(struct view *v);
/* Free the plan of the last question. */
void control_end(struct view *v);

#endif
