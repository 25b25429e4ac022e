/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pane of ioctls that failed. */
#ifndef CMD_VIEW_PANE_FAILURES_H
#define CMD_VIEW_PANE_FAILURES_H

#include "cmd/watch/view/pane.h"

extern const struct pane pane_failures;

#endif
