// SPDX-License-Identifier: GPL-2.0-or-later
/* The whole screen: header, panes, the line at the bottom, and questions above them. */
#include <stdio.h>

#include "cmd/watch/view/draw.h"
#include "cmd/watch/view/header.h"
#include "cmd/watch/view/keys.h"
#include "cmd/watch/view/pane_table.h"
#include "cmd/watch/view/terminal.h"

static void draw_text(const struct view *v, int y, int x, int width, enum style style, const char *text)
{
	struct line l;

	line_init(&l, width, v->picture.utf8);
	line_field(&l, style, text, width, false);
	terminal_put(y, x, &l);
}

/* ---- panes ---- */

static void add_row(const struct view *v, enum pane_id id, int i, struct line *l)
{
	const struct pane *pane = panes[id];
	const struct cursor *c = &v->cursors[id];
	size_t row = c->top + (size_t)i;

	if (row >= pane->nr_rows(&v->picture))
		return;
	pane_row(pane, &v->picture, row, v->layout.boxes[id].width, l);
	if (row == c->at && v->focus == id) {
		line_to(l, STYLE_PLAIN, l->max, " ");
		line_restyle(l, STYLE_SELECTED);
	} else if (row == c->at && v->control && pane->controlled) {
		line_restyle(l, STYLE_STRONG);
	}
}

static void draw_pane(const struct view *v, enum pane_id id)
{
	const struct box *b = &v->layout.boxes[id];
	const struct pane *pane = panes[id];
	const struct window w = { v->cursors[id].top, (size_t)box_rows(b) };
	bool beside = b->x > 0;
	struct line l;

	for (int i = 0; i < b->height; i++) {
		line_init(&l, b->width, v->picture.utf8);
		if (beside)
			line_add(&l, STYLE_DIM, !l.utf8 ? i ? "|" : "+" : i ? "│" : "┬");
		if (!i)
			pane_title(pane, &v->picture, v->focus == id ? STYLE_FOCUS : STYLE_TITLE, &w, b->width, &l);
		else if (i == 1 && b->heads)
			pane_heads(pane, &v->picture, b->width, &l);
		else if (pane->body)
			pane->body(&v->picture, i - 1, b->height - 1, b->width - beside, &l);
		else
			add_row(v, id, i - 1 - b->heads, &l);
		terminal_put(b->y + i, b->x, &l);
	}
}

/* ---- the bottom, help, what is asked ---- */

static void draw_bottom(const struct view *v)
{
	int y = v->layout.height - 1, width = v->layout.width;
	const char *filter = width < 100 ? "Filter table and log"
					 : "Filter table and log by names, threads, resolvers, ioctls";
	char prompt[2 * VIEW_PROMPT + 16];
	struct line l;

	if (*v->messages.text && v->mode == MODE_NORMAL)
		draw_text(v, y - 1, 0, width, v->messages.bad ? STYLE_BAD : STYLE_PROMPT, v->messages.text);
	if (v->mode == MODE_SEARCH || v->mode == MODE_FILTER) {
		snprintf(prompt, sizeof(prompt), "%s: %s_", v->mode == MODE_SEARCH ? "Search" : filter,
			 v->mode == MODE_SEARCH ? v->search : v->picture.filter);
		draw_text(v, y, 0, width, STYLE_PROMPT, prompt);
		return;
	}
	line_init(&l, width, v->picture.utf8);
	keys_bar(v, width, &l);
	terminal_put(y, 0, &l);
}

static void draw_help(const struct view *v)
{
	size_t nr = keys_help_lines(v);
	int room = v->layout.height - 2;
	struct line l;

	draw_text(v, 0, 0, v->layout.width, STYLE_TITLE, "uffdctl watch: keys");
	for (int i = 0; i < room && v->help_top + (size_t)i < nr; i++) {
		line_init(&l, v->layout.width, v->picture.utf8);
		keys_help_line(v, v->help_top + (size_t)i, &l);
		terminal_put(1 + i, 0, &l);
	}
	draw_text(v, v->layout.height - 1, 0, v->layout.width, STYLE_PROMPT,
		  (size_t)room < nr ? "arrows: more   any other key: back" : "any key: back");
}

/* A box in the middle, with this many lines. */
static void draw_box(const struct view *v, int width, int nr, int *y, int *x)
{
	*y = (v->layout.height - nr - 2) / 2;
	*x = (v->layout.width - width) / 2;
	for (int i = -1; i <= nr; i++)
		draw_text(v, *y + 1 + i, *x, width, STYLE_PROMPT, "");
	*y += 1;
}

#define MENU_COLUMN 14

/* On a small screen, the columns to choose from are beside each other. */
static void draw_menu(const struct view *v)
{
	struct columns c = pane_table.columns(&v->picture);
	int nr = c.nr - __builtin_popcount(c.hidden), most = v->layout.height - 3, rows = nr < most ? nr : most, at = 0;
	int y, x;

	draw_box(v, 2 + MENU_COLUMN * ((nr + rows - 1) / rows), 1 + rows, &y, &x);
	draw_text(v, y, x + 1, MENU_COLUMN, STYLE_PROMPT, "Sort by");
	for (int i = 0; i < c.nr; i++) {
		if (c.hidden >> i & 1)
			continue;
		draw_text(v, y + 1 + at % rows, x + 2 + MENU_COLUMN * (at / rows), MENU_COLUMN - 2,
			  i == v->menu ? STYLE_STRONG : STYLE_PROMPT, columns_name(&c, i));
		at++;
	}
}

static void draw_question(const struct view *v)
{
	const struct question *q = &v->question;
	int x, y, width = 0, w;

	for (size_t i = 0; i < q->nr_lines; i++) {
		w = text_width(q->lines[i], v->picture.utf8) + 4;
		width = w > width ? w : width;
	}
	width = width < v->layout.width ? width : v->layout.width;
	draw_box(v, width, (int)q->nr_lines + 2, &y, &x);
	for (size_t i = 0; i < q->nr_lines; i++)
		draw_text(v, y++, x + 2, width - 4, STYLE_PROMPT, q->lines[i]);
	draw_text(v, y + 1, x + 2, width - 4, STYLE_PROMPT, "y: yes   any other key: no");
}

static void draw_too_small(const struct view *v)
{
	char text[64];

	snprintf(text, sizeof(text), "%dx%d: too small", v->layout.width, v->layout.height);
	draw_text(v, 0, 0, v->layout.width, STYLE_PLAIN, text);
	snprintf(text, sizeof(text), "needs %dx%d, or q", VIEW_MIN_WIDTH, VIEW_MIN_HEIGHT);
	if (v->layout.height > 1)
		draw_text(v, 1, 0, v->layout.width, STYLE_PLAIN, text);
}

static void draw_all(const struct view *v)
{
	struct line l;

	for (int i = 0; i < v->layout.header; i++) {
		line_init(&l, v->layout.width, v->picture.utf8);
		header_line(&v->picture, i, v->layout.header, v->layout.width, &l);
		terminal_put(i, 0, &l);
	}
	for (int id = 0; id < NR_PANES; id++)
		draw_pane(v, id);
	draw_bottom(v);
	if (v->mode == MODE_SORT)
		draw_menu(v);
	else if (v->mode == MODE_CONFIRM)
		draw_question(v);
}

void draw(struct view *v, bool all)
{
	int height, width;

	terminal_size(&height, &width);
	view_arrange(v, width, height);
	terminal_clear(all);
	if (v->layout.too_small)
		draw_too_small(v);
	else if (v->mode == MODE_HELP)
		draw_help(v);
	else
		draw_all(v);
	terminal_refresh();
}
