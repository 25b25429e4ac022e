/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pane of the places of faults: each mapping as a strip of cells. */
#ifndef CMD_VIEW_PANE_HEAT_H
#define CMD_VIEW_PANE_HEAT_H

#include "cmd/watch/view/pane.h"

extern const struct pane pane_heat;

#endif
