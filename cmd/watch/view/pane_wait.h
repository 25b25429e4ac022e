/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pane of waiters; the one that has slept longest is first. */
#ifndef CMD_VIEW_PANE_WAIT_H
#define CMD_VIEW_PANE_WAIT_H

#include "cmd/watch/view/pane.h"

/* It has slept for longer than a handler takes. */
bool is_stuck(const struct waiter *w);

extern const struct pane pane_wait;

#endif
