// SPDX-License-Identifier: GPL-2.0-or-later
/* The common part of all panes. */
#include "cmd/watch/view/pane.h"

void pane_title(const struct pane *pane, const struct picture *p, enum style style, int width, struct line *l)
{
	const char *rule = l->utf8 ? "─" : "-";

	line_to(l, STYLE_DIM, 2, rule);
	pane->title(p, width, style, l);
	line_to(l, STYLE_DIM, width, rule);
}

bool pane_has_heads(const struct pane *pane)
{
	return pane->columns && !pane->headless;
}

void pane_heads(const struct pane *pane, const struct picture *p, int width, struct line *l)
{
	struct columns c = pane->columns(p);

	columns_heads(&c, width, l);
}

void pane_row(const struct pane *pane, const struct picture *p, size_t i, int width, struct line *l)
{
	struct columns c;

	if (!pane->columns) {
		pane->draw_row(p, i, width, l);
		return;
	}
	c = pane->columns(p);
	columns_row(&c, pane->row(p, i), width, l);
}

struct row_id pane_row_id(const struct pane *pane, const struct picture *p, size_t i)
{
	return i < pane->nr_rows(p) ? pane->identity(p, i) : (struct row_id){};
}
