/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pane of the last faults. */
#ifndef CMD_VIEW_PANE_LOG_H
#define CMD_VIEW_PANE_LOG_H

#include "cmd/watch/view/pane.h"

extern const struct pane pane_log;

#endif
