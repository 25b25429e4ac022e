/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The selected row of a pane, and its visible rows. */
#ifndef CMD_VIEW_CURSOR_H
#define CMD_VIEW_CURSOR_H

#include "cmd/watch/view/pane.h"

/* If it is not at the top, it follows its row. */
struct cursor {
	size_t at, top; /* the selected row, and the first visible one */
	struct row_id id;
};

/* Call this after rows have moved; there is room for this many. */
void cursor_settle(struct cursor *c, const struct pane *pane, const struct picture *p, size_t room);
void cursor_move(struct cursor *c, const struct pane *pane, const struct picture *p, long by);

#endif
