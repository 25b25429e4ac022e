// SPDX-License-Identifier: GPL-2.0-or-later
/* Dispatches a key or a click. */
#include <string.h>

#include <curses.h>

#include "cmd/watch/view/actions.h"
#include "cmd/watch/view/input.h"
#include "cmd/watch/view/keys.h"
#include "cmd/watch/view/pane_table.h"

/* Rows that a wheel moves by. */
#define WHEEL 3

/* ---- the mouse ---- */

static enum redraw click_head(struct view *v, enum pane_id id, int x)
{
	struct columns c = panes[id]->columns(&v->picture);
	int column = columns_at(&c, v->layout.boxes[id].width, x);

	if (!panes[id]->sort || column < 0)
		return DRAW_LINES;
	panes[id]->sort(&v->picture, column);
	return DRAW_ROWS;
}

static enum redraw click_pane(struct view *v, enum pane_id id, int x, int y)
{
	const struct box *b = &v->layout.boxes[id];
	const struct cursor *c = &v->cursors[id];
	int row = y - b->y - 1 - b->heads;

	v->focus = id;
	if (b->heads && row == -1)
		return click_head(v, id, x);
	if (row < 0 || c->top + (size_t)row >= panes[id]->nr_rows(&v->picture))
		return DRAW_LINES;
	return go_by(v, id, (long)c->top + row - (long)c->at);
}

static bool is_in(const struct box *b, const MEVENT *e)
{
	return e->y >= b->y && e->y < b->y + b->height && e->x >= b->x && e->x < b->x + b->width;
}

static enum redraw mouse(struct view *v)
{
	MEVENT e;

	if (getmouse(&e) != OK || v->mode != MODE_NORMAL || v->layout.too_small)
		return DRAW_NOTHING;
	for (int id = 0; id < NR_PANES; id++) {
		if (!view_can_focus(v, id) || !is_in(&v->layout.boxes[id], &e))
			continue;
		if (e.bstate & (BUTTON4_PRESSED | BUTTON5_PRESSED))
			return go_by(v, id, e.bstate & BUTTON4_PRESSED ? -WHEEL : WHEEL);
		return click_pane(v, id, e.x, e.y);
	}
	if (e.y == v->layout.height - 1 && e.bstate & (BUTTON1_PRESSED | BUTTON1_CLICKED))
		return keys_bar_click(v, e.x);
	return DRAW_NOTHING;
}

/* ---- while the view asks for something ---- */

static bool is_enter(int code)
{
	return code == '\n' || code == '\r' || code == KEY_ENTER;
}

static enum redraw help_key(struct view *v, int code)
{
	size_t room = (size_t)v->layout.height - 2, nr = keys_help_lines(v);
	size_t last = nr > room ? nr - room : 0;

	if (code == KEY_DOWN || code == 'j' || code == KEY_NPAGE) {
		v->help_top = v->help_top < last ? v->help_top + 1 : last;
		return DRAW_LINES;
	}
	if (code == KEY_UP || code == 'k' || code == KEY_PPAGE) {
		v->help_top -= v->help_top > 0;
		return DRAW_LINES;
	}
	v->mode = MODE_NORMAL;
	return DRAW_SCREEN;
}

/* ---- search and filter ---- */

static void edit(char *text, int code)
{
	size_t len = strlen(text);

	if (code == KEY_BACKSPACE || code == 127 || code == CTRL('h')) {
		/* a whole character of UTF-8 */
		while (len && (text[--len] & 0xc0) == 0x80)
			;
		text[len] = '\0';
	} else if (code == CTRL('u')) {
		text[0] = '\0';
	} else if (code >= ' ' && code < 256 && len + 1 < VIEW_PROMPT) {
		text[len] = (char)code;
		text[len + 1] = '\0';
	}
}

static enum redraw prompt_key(struct view *v, int code)
{
	bool searching = v->mode == MODE_SEARCH;
	char *text = searching ? v->search : v->picture.table.filter;

	if (is_enter(code) || code == KEY_ESCAPE) {
		if (code == KEY_ESCAPE)
			text[0] = '\0';
		v->mode = MODE_NORMAL;
		return DRAW_ROWS;
	}
	if (searching && code == KEY_F(3))
		return find_from(v, v->cursors[v->focus].at + 1);
	edit(text, code);
	return searching ? find_from(v, v->cursors[v->focus].at) : DRAW_ROWS;
}

/* ---- the column to sort by ---- */

static enum redraw menu_move(struct view *v, int by)
{
	struct columns c = pane_table.columns(&v->picture);

	do
		v->menu = (v->menu + by + c.nr) % c.nr;
	while (c.hidden >> v->menu & 1);
	return DRAW_LINES;
}

static enum redraw menu_key(struct view *v, int code)
{
	if (code == KEY_UP || code == 'k')
		return menu_move(v, -1);
	if (code == KEY_DOWN || code == 'j')
		return menu_move(v, 1);
	v->mode = MODE_NORMAL;
	if (is_enter(code) || code == KEY_F(6))
		sort_by(v, v->menu);
	return DRAW_ROWS;
}

/* ---- a question ---- */

static enum redraw question_key(struct view *v, int code)
{
	v->mode = MODE_NORMAL;
	if (code == 'y' || code == 'Y')
		v->question.yes(v);
	else
		messages_say(&v->messages, false, "nothing was done");
	return DRAW_LINES;
}

/* ---- who gets it ---- */

enum redraw input(struct view *v, int code)
{
	static enum redraw (*const handlers[])(struct view * v, int code) = {
		[MODE_NORMAL] = keys_press, [MODE_HELP] = help_key, [MODE_SEARCH] = prompt_key,
		[MODE_FILTER] = prompt_key, [MODE_SORT] = menu_key, [MODE_CONFIRM] = question_key,
	};

	if (code == KEY_RESIZE)
		return DRAW_SCREEN;
	if (code == KEY_MOUSE)
		return mouse(v);
	/* On a screen that is too small, nothing is shown to choose from. */
	if (v->layout.too_small && code != 'q' && code != KEY_F(10))
		return DRAW_NOTHING;
	return handlers[v->mode](v, code);
}
