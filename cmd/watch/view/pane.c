// SPDX-License-Identifier: GPL-2.0-or-later
/* The common part of all panes. */
#include "cmd/watch/view/pane.h"

/* "1 of 3", "4-7 of 12 rows", "3 rows". */
static void add_count(const struct pane *pane, const struct picture *p, const struct window *w, struct line *l)
{
	size_t nr = pane->nr_rows(p);
	bool some = w && !pane->body && w->room < nr;

	/* With a filter, a title has said it. */
	if (!some && (!pane->counted || *p->filter))
		return;
	if (some && w->room == 1)
		line_addf(l, STYLE_DIM, "%zu of ", w->top + 1);
	else if (some)
		line_addf(l, STYLE_DIM, "%zu-%zu of ", w->top + 1, w->top + w->room);
	line_addf(l, STYLE_DIM, !pane->counted ? "%zu " : nr == 1 ? "%zu row " : "%zu rows ", nr);
}

void pane_title(const struct pane *pane, const struct picture *p, enum style style, const struct window *w, int width,
		struct line *l)
{
	const char *rule = l->utf8 ? "─" : "-";

	line_to(l, STYLE_DIM, 2, rule);
	pane->title(p, width, style, l);
	add_count(pane, p, w, l);
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
