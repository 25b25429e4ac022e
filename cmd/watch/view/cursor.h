/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which row of a pane is selected, and which ones can be seen. */
#ifndef CMD_VIEW_CURSOR_H
#define CMD_VIEW_CURSOR_H

#include "cmd/watch/view/pane.h"

/* Away from the top it stays with its row, wherever that goes. */
struct cursor {
	size_t at, top; /* the selected row, and the first one that can be seen */
	struct row_id id;
};

/* After rows have moved; there is room for so many. */
void cursor_settle(struct cursor *c, const struct pane *pane, const struct picture *p, size_t room);
void cursor_move(struct cursor *c, const struct pane *pane, const struct picture *p, long by);

#endif
