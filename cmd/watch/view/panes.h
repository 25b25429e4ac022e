/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The panes there are. */
#ifndef CMD_VIEW_PANES_H
#define CMD_VIEW_PANES_H

#include "cmd/watch/view/pane.h"

/* From top to bottom: Tab moves from pane to pane in this order. */
enum pane_id {
	PANE_WAIT,
	PANE_HISTOGRAM,
	PANE_HEAT,
	PANE_TABLE,
	PANE_FAILURES,
	PANE_LOG,
	NR_PANES
};

extern const struct pane *const panes[NR_PANES];

void panes_gather(struct picture *p, int width);

#endif
