// SPDX-License-Identifier: GPL-2.0-or-later
/* The selected row of a pane, and its visible rows. */
#include "cmd/watch/view/cursor.h"

static bool is_it(const struct cursor *c, const struct pane *pane, const struct picture *p, size_t i)
{
	struct row_id id = pane_row_id(pane, p, i);

	return id.key == c->id.key && id.key2 == c->id.key2;
}

static void find_again(struct cursor *c, const struct pane *pane, const struct picture *p)
{
	size_t nr = pane->nr_rows(p), i = 0;

	if (is_it(c, pane, p, c->at))
		return;
	while (i < nr && !is_it(c, pane, p, i))
		i++;
	if (i < nr)
		c->at = i;
}

static void select_row(struct cursor *c, const struct pane *pane, const struct picture *p, size_t i)
{
	size_t nr = pane->nr_rows(p);

	c->at = i < nr ? i : nr ? nr - 1 : 0;
	c->id = pane_row_id(pane, p, c->at);
}

/*
 * A selection at the top stays at the top, where the most important rows are. In a pane that follows its end, a
 * selection at the end stays there.
 */
static bool stays(const struct cursor *c, const struct pane *pane)
{
	return pane->follows_end ? c->id.key <= 1 : !c->at;
}

void cursor_settle(struct cursor *c, const struct pane *pane, const struct picture *p, size_t room)
{
	size_t nr = pane->nr_rows(p);

	if (!stays(c, pane))
		find_again(c, pane, p);
	else if (pane->follows_end)
		c->at = nr;
	select_row(c, pane, p, c->at);
	if (c->top > c->at)
		c->top = c->at;
	if (room && c->at >= c->top + room)
		c->top = c->at - room + 1;
	if (c->top + room > nr)
		c->top = nr > room ? nr - room : 0;
}

void cursor_move(struct cursor *c, const struct pane *pane, const struct picture *p, long by)
{
	bool past_top = by < 0 && (size_t)-by > c->at;

	select_row(c, pane, p, past_top ? 0 : c->at + (size_t)by);
}
