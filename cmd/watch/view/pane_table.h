/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pane of groups of faults: by mapping, thread, team, process, resolver or instruction. */
#ifndef CMD_VIEW_PANE_TABLE_H
#define CMD_VIEW_PANE_TABLE_H

#include "cmd/watch/view/pane.h"

extern const struct pane pane_table;

#endif
