// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys of the view: one table holds key, what it does, and what help and the bottom line say of it. */
#include <ctype.h>
#include <string.h>

/* ncurses' own bool is that of stdbool.h, too. */
#include <curses.h>

#include "cmd/watch/view/view.h"

#define CTRL(c) ((c)&31)
#define KEY_ESCAPE 27

/* ---- moving ---- */

static long page_of(const struct view *v)
{
	int rows = box_rows(&v->layout.panes[v->focus]);

	return rows > 1 ? rows - 1 : 1;
}

static enum redraw move_by(struct view *v, long by)
{
	cursor_move(v, v->focus, by);
	return DRAW_LINES;
}

static enum redraw act_up(struct view *v)
{
	return move_by(v, -1);
}

static enum redraw act_down(struct view *v)
{
	return move_by(v, 1);
}

static enum redraw act_page_up(struct view *v)
{
	return move_by(v, -page_of(v));
}

static enum redraw act_page_down(struct view *v)
{
	return move_by(v, page_of(v));
}

static enum redraw act_home(struct view *v)
{
	return move_by(v, -(long)pane_rows(v, v->focus));
}

static enum redraw act_end(struct view *v)
{
	return move_by(v, (long)pane_rows(v, v->focus));
}

static enum redraw change_pane(struct view *v, int by)
{
	int p = v->focus;

	do
		p = (p + by + NR_SCROLLING) % NR_SCROLLING;
	while (!v->layout.panes[p].height && p != (int)v->focus);
	v->focus = p;
	return DRAW_LINES;
}

static enum redraw act_next_pane(struct view *v)
{
	return change_pane(v, 1);
}

static enum redraw act_previous_pane(struct view *v)
{
	return change_pane(v, -1);
}

/* ---- choosing ---- */

static enum redraw act_help(struct view *v)
{
	v->mode = MODE_HELP;
	v->help_top = 0;
	return DRAW_SCREEN;
}

static enum redraw act_group(struct view *v)
{
	v->grouping = (v->grouping + 1) % NR_GROUPINGS;
	v->cursors[PANE_TABLE] = (struct cursor){};
	return DRAW_ROWS;
}

static enum redraw sort_by(struct view *v, int column)
{
	if (column == v->sort[v->grouping].column)
		v->sort[v->grouping].ascending = !v->sort[v->grouping].ascending;
	else
		v->sort[v->grouping].ascending = !column;
	v->sort[v->grouping].column = column;
	return DRAW_ROWS;
}

/* The next column that there is, and that has room: one shall see what one sorts by. */
static enum redraw change_sort(struct view *v, int by)
{
	int i = v->sort[v->grouping].column, nr = table_columns(), first;
	unsigned int shown = table_fit(v, v->layout.width, &first);

	do
		i = (i + by + nr) % nr;
	while (!(shown >> i & 1));
	return i == v->sort[v->grouping].column ? DRAW_NOTHING : sort_by(v, i);
}

static enum redraw act_sort_left(struct view *v)
{
	return change_sort(v, -1);
}

static enum redraw act_sort_right(struct view *v)
{
	return change_sort(v, 1);
}

static enum redraw act_invert(struct view *v)
{
	return sort_by(v, v->sort[v->grouping].column);
}

static enum redraw act_sort(struct view *v)
{
	v->mode = MODE_SORT;
	v->menu = v->sort[v->grouping].column;
	return DRAW_LINES;
}

static enum redraw act_search(struct view *v)
{
	v->mode = MODE_SEARCH;
	v->search[0] = '\0';
	return DRAW_LINES;
}

static enum redraw act_filter(struct view *v)
{
	v->mode = MODE_FILTER;
	return DRAW_LINES;
}

/* Any row of the pane whose text has it, below the one that is selected, then from the top. */
static enum redraw find_next(struct view *v, size_t from)
{
	size_t nr = pane_rows(v, v->focus);
	struct line l;

	for (size_t i = 0; i < nr && *v->search; i++) {
		size_t at = (from + i) % nr;

		line_init(&l, LINE_COLS, v->utf8);
		pane_row(v, v->focus, at, LINE_COLS, &l);
		if (strcasestr(l.text, v->search))
			return move_by(v, (long)at - (long)v->cursors[v->focus].at);
	}
	if (*v->search)
		view_say(v, true, "not found: %s", v->search);
	return DRAW_LINES;
}

static enum redraw act_find_next(struct view *v)
{
	return *v->search ? find_next(v, v->cursors[v->focus].at + 1) : act_search(v);
}

static enum redraw act_log(struct view *v)
{
	v->log = v->layout.panes[PANE_LOG].height ? LOG_OFF : LOG_ON;
	if (v->log == LOG_OFF && v->focus == PANE_LOG)
		v->focus = PANE_TABLE;
	return DRAW_SCREEN;
}

static enum redraw act_pause(struct view *v)
{
	view_pause(v);
	return DRAW_ROWS;
}

static enum redraw act_snapshot(struct view *v)
{
	view_snapshot(v);
	return DRAW_LINES;
}

static enum redraw act_redraw(struct view *v)
{
	(void)v;
	return DRAW_SCREEN;
}

static enum redraw act_continue(struct view *v)
{
	view_ask_continue(v);
	return DRAW_LINES;
}

static enum redraw act_continue_all(struct view *v)
{
	view_ask_continue_all(v);
	return DRAW_LINES;
}

static enum redraw act_quit(struct view *v)
{
	(void)v;
	return VIEW_QUIT;
}

/* ---- the table ---- */

static const struct key {
	int codes[4];
	const char *names; /* as help calls them */
	const char *help;
	enum redraw (*act)(struct view *v);
	const char *bar_key, *bar; /* in the bottom line; NULL: not there */
	bool control;		   /* with --control only */
} keys[] = {
	{ { KEY_F(1), 'h', '?' }, "F1 h ?", "this help", act_help, "F1", "Help", false },
	{ { KEY_F(3), '/' }, "F3 /", "search in this pane; F3 or n: the next one", act_search, "F3", "Search", false },
	{ { 'n' }, "n", "the next row that was searched for", act_find_next, NULL, NULL, false },
	{ { KEY_F(4), '\\' },
	  "F4 \\",
	  "filter the table; there, Esc: all rows again",
	  act_filter,
	  "F4",
	  "Filter",
	  false },
	{ { KEY_F(5) }, "F5 g", "group the table by something else", act_group, "F5", "Group", false },
	{ { 'g' }, NULL, NULL, act_group, NULL, NULL, false },
	{ { KEY_F(6) }, "F6", "choose the column to sort by", act_sort, "F6", "Sort", false },
	{ { '<', ',' }, "< >", "sort by the column to the left, right", act_sort_left, NULL, NULL, false },
	{ { '>', '.' }, NULL, NULL, act_sort_right, NULL, NULL, false },
	{ { 'I' }, "I", "turn the order round", act_invert, NULL, NULL, false },
	{ { 'c' }, "c", "continue the selected thread's minor fault", act_continue, "c", "Continue", true },
	{ { 'C' }, "C", "continue all that wait in this mapping", act_continue_all, "C", "All", true },
	{ { ' ', 'p' }, "space p", "pause: the picture stands, counting goes on", act_pause, "Space", "Pause", false },
	{ { 's' }, "s", "snapshot, with all rows, to a file here", act_snapshot, "s", "Snapshot", false },
	{ { 'l' }, "l", "show or hide the log of last faults", act_log, "l", "Log", false },
	{ { '\t' }, "Tab Shift-Tab", "the next pane, the one before", act_next_pane, NULL, NULL, false },
	{ { KEY_BTAB }, NULL, NULL, act_previous_pane, NULL, NULL, false },
	{ { KEY_UP, 'k' }, "arrows j k", "select a row", act_up, NULL, NULL, false },
	{ { KEY_DOWN, 'j' }, NULL, NULL, act_down, NULL, NULL, false },
	{ { KEY_PPAGE, CTRL('b') }, "PgUp PgDn", "a page up, down", act_page_up, NULL, NULL, false },
	{ { KEY_NPAGE, CTRL('f') }, NULL, NULL, act_page_down, NULL, NULL, false },
	{ { KEY_HOME, CTRL('a') }, "Home End", "the first row, the last", act_home, NULL, NULL, false },
	{ { KEY_END, CTRL('e') }, NULL, NULL, act_end, NULL, NULL, false },
	{ { CTRL('l') }, "Ctrl-L", "draw the screen again", act_redraw, NULL, NULL, false },
	{ { KEY_F(10), 'q' }, "F10 q", "quit", act_quit, "F10", "Quit", false },
};

#define NR_KEYS (sizeof(keys) / sizeof(keys[0]))

static enum redraw normal_key(struct view *v, int code)
{
	for (size_t i = 0; i < NR_KEYS; i++)
		for (size_t k = 0; k < 4 && keys[i].codes[k]; k++)
			if (keys[i].codes[k] == code && (v->control || !keys[i].control))
				return keys[i].act(v);
	return DRAW_NOTHING;
}

/* ---- the bottom line and help ---- */

/* Where a key of the bar stands, so that a click finds it. The last, quit, always has a place. */
struct bar_walk {
	int width, at;
};

static bool bar_has(const struct view *v, const struct key *k, struct bar_walk *w, int *from)
{
	int need, quit = (int)strlen("F10Quit");

	if (!k->bar || (k->control && !v->control))
		return false;
	need = (int)(strlen(k->bar_key) + strlen(k->bar)) + 1;
	if (w->at + need + (k->act == act_quit ? 0 : quit) > w->width)
		return false;
	*from = w->at;
	w->at += need;
	return true;
}

void keys_bar(const struct view *v, int width, struct line *l)
{
	struct bar_walk w = { width + 1, 0 };
	int from;

	for (size_t i = 0; i < NR_KEYS; i++) {
		if (!bar_has(v, &keys[i], &w, &from))
			continue;
		line_to(l, STYLE_PLAIN, from, " ");
		line_add(l, STYLE_KEY, keys[i].bar_key);
		line_add(l, STYLE_BUTTON, keys[i].bar);
	}
}

static enum redraw bar_click(struct view *v, int x)
{
	struct bar_walk w = { v->layout.width + 1, 0 };
	int from;

	for (size_t i = 0; i < NR_KEYS; i++)
		if (bar_has(v, &keys[i], &w, &from) && x >= from && x < w.at)
			return keys[i].act(v);
	return DRAW_NOTHING;
}

static const char *const notes[] = {
	"",
	"Strips: faults of the last seconds, by their square root.",
	"! marks who waits for over a second, !! for over ten.",
	"Percentiles are bounds: 2^n microseconds, or the longest.",
	"Mouse: a click selects, sorts, or presses a key below.",
};

#define NR_NOTES (sizeof(notes) / sizeof(notes[0]))

size_t keys_help_lines(const struct view *v)
{
	size_t nr = NR_NOTES;

	for (size_t i = 0; i < NR_KEYS; i++)
		nr += keys[i].help && (v->control || !keys[i].control);
	return nr;
}

void keys_help_line(const struct view *v, size_t nr, int width, struct line *l)
{
	(void)width;
	for (size_t i = 0; i < NR_KEYS; i++) {
		if (!keys[i].help || (keys[i].control && !v->control))
			continue;
		if (nr--)
			continue;
		line_add(l, STYLE_PLAIN, " ");
		line_field(l, STYLE_STRONG, keys[i].names, 14, true);
		line_addf(l, STYLE_PLAIN, "  %s", keys[i].help);
		return;
	}
	line_addf(l, STYLE_DIM, " %s", nr < NR_NOTES ? notes[nr] : "");
}

/* ---- other modes ---- */

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
	char *text = v->mode == MODE_SEARCH ? v->search : v->filter;

	if (code == '\n' || code == '\r' || code == KEY_ENTER) {
		v->mode = MODE_NORMAL;
		return DRAW_ROWS;
	}
	if (code == KEY_ESCAPE) {
		text[0] = '\0';
		v->mode = MODE_NORMAL;
		return DRAW_ROWS;
	}
	if (v->mode == MODE_SEARCH && code == KEY_F(3))
		return find_next(v, v->cursors[v->focus].at + 1);
	edit(text, code);
	if (v->mode == MODE_SEARCH)
		return find_next(v, v->cursors[v->focus].at);
	return DRAW_ROWS;
}

static enum redraw menu_move(struct view *v, int by)
{
	int nr = table_columns();

	do
		v->menu = (v->menu + by + nr) % nr;
	while (!column_is_there(v, v->menu));
	return DRAW_LINES;
}

static enum redraw menu_key(struct view *v, int code)
{
	if (code == KEY_UP || code == 'k')
		return menu_move(v, -1);
	if (code == KEY_DOWN || code == 'j')
		return menu_move(v, 1);
	v->mode = MODE_NORMAL;
	if (code == '\n' || code == '\r' || code == KEY_ENTER || code == KEY_F(6))
		sort_by(v, v->menu);
	return DRAW_ROWS;
}

static enum redraw confirm_key(struct view *v, int code)
{
	v->mode = MODE_NORMAL;
	if (code == 'y' || code == 'Y')
		v->yes(v);
	else
		view_say(v, false, "nothing was done");
	return DRAW_LINES;
}

enum redraw view_key(struct view *v, int code)
{
	static enum redraw (*const handlers[])(struct view * v, int code) = {
		[MODE_NORMAL] = normal_key, [MODE_HELP] = help_key, [MODE_SEARCH] = prompt_key,
		[MODE_FILTER] = prompt_key, [MODE_SORT] = menu_key, [MODE_CONFIRM] = confirm_key,
	};

	if (code == KEY_RESIZE)
		return DRAW_SCREEN;
	if (code == KEY_MOUSE)
		return view_mouse(v);
	/* With no picture there is nothing to choose from. */
	if (v->layout.too_small && code != 'q' && code != KEY_F(10))
		return DRAW_NOTHING;
	return handlers[v->mode](v, code);
}

/* ---- the mouse ---- */

static enum redraw click(struct view *v, enum pane p, int x, int y)
{
	const struct box *b = &v->layout.panes[p];
	int row = y - b->y - 1 - b->heads, column;

	v->focus = p;
	if (row < 0 && p == PANE_TABLE && y == b->y + 1) {
		column = table_column_at(v, b->width, x);
		return column < 0 ? DRAW_LINES : sort_by(v, column);
	}
	if (row < 0 || v->cursors[p].top + (size_t)row >= pane_rows(v, p))
		return DRAW_LINES;
	return move_by(v, (long)v->cursors[p].top + row - (long)v->cursors[p].at);
}

enum redraw view_mouse(struct view *v)
{
	MEVENT e;

	if (getmouse(&e) != OK || v->mode != MODE_NORMAL || v->layout.too_small)
		return DRAW_NOTHING;
	for (int p = 0; p < NR_SCROLLING; p++) {
		const struct box *b = &v->layout.panes[p];

		if (e.y < b->y || e.y >= b->y + b->height || e.x < b->x || e.x >= b->x + b->width)
			continue;
		if (e.bstate & (BUTTON4_PRESSED | BUTTON5_PRESSED)) {
			cursor_move(v, p, e.bstate & BUTTON4_PRESSED ? -3 : 3);
			return DRAW_LINES;
		}
		return click(v, p, e.x, e.y);
	}
	if (e.y == v->layout.height - 1 && e.bstate & (BUTTON1_PRESSED | BUTTON1_CLICKED))
		return bar_click(v, e.x);
	return DRAW_NOTHING;
}
