// SPDX-License-Identifier: GPL-2.0-or-later
/* The actions of keys and clicks. */
#include <string.h>

#include "cmd/watch/view/actions.h"
#include "cmd/watch/view/control.h"
#include "cmd/watch/view/header.h"
#include "cmd/watch/view/pane_table.h"
#include "cmd/watch/view/snapshot.h"

static const struct pane *focused(const struct view *v)
{
	return panes[v->focus];
}

/* ---- moving ---- */

enum redraw go_by(struct view *v, enum pane_id id, long by)
{
	view_move(v, id, by);
	return DRAW_LINES;
}

/* The number of visible rows, minus one. */
static long page_rows(const struct view *v)
{
	int rows = box_rows(&v->layout.boxes[v->focus]);

	return rows > 1 ? rows - 1 : 1;
}

static long all_rows(const struct view *v)
{
	return (long)focused(v)->nr_rows(&v->picture);
}

static enum redraw go(struct view *v, long by)
{
	if (!all_rows(v))
		messages_say(&v->messages, false, "no rows here; Tab goes to the next pane");
	return go_by(v, v->focus, by);
}

enum redraw go_rows(struct view *v, int by)
{
	return go(v, by);
}

enum redraw go_pages(struct view *v, int by)
{
	return go(v, by * page_rows(v));
}

enum redraw go_to_end(struct view *v, int by)
{
	return go(v, by * all_rows(v));
}

enum redraw go_panes(struct view *v, int by)
{
	int id = (int)v->focus;

	do
		id = (id + by + NR_PANES) % NR_PANES;
	while (!view_can_focus(v, id) && id != (int)v->focus);
	v->focus = id;
	return DRAW_LINES;
}

/* ---- the table ---- */

enum redraw change_grouping(struct view *v, int by)
{
	v->picture.table.grouping = (v->picture.table.grouping + (unsigned int)by) % NR_GROUPINGS;
	v->cursors[PANE_TABLE] = (struct cursor){};
	return DRAW_ROWS;
}

enum redraw sort_by(struct view *v, int column)
{
	pane_table.sort(&v->picture, column);
	return DRAW_ROWS;
}

/* The next visible column: the user has to see the column that rows are sorted by. */
enum redraw change_column(struct view *v, int by)
{
	struct columns c = pane_table.columns(&v->picture);
	int i = c.sorted;
	struct fit fit;

	columns_fit(&c, v->layout.width, &fit);
	do
		i = (i + by + c.nr) % c.nr;
	while (!(fit.shown >> i & 1));
	return i == c.sorted ? DRAW_NOTHING : sort_by(v, i);
}

enum redraw reverse_order(struct view *v, int unused)
{
	(void)unused;
	return sort_by(v, pane_table.columns(&v->picture).sorted);
}

enum redraw clear_filter(struct view *v, int unused)
{
	(void)unused;
	messages_say(&v->messages, false,
		     *v->picture.filter ? "no filter any more: all rows are shown" : "no filter is set");
	v->picture.filter[0] = '\0';
	return DRAW_ROWS;
}

/* ---- searching ---- */

enum redraw find_from(struct view *v, size_t from)
{
	size_t nr = (size_t)all_rows(v);
	struct line l;

	for (size_t i = 0; i < nr && *v->search; i++) {
		size_t at = (from + i) % nr;

		line_init(&l, LINE_COLS, v->picture.utf8);
		pane_row(focused(v), &v->picture, at, LINE_COLS, &l);
		if (strcasestr(l.text, v->search))
			return go_by(v, v->focus, (long)at - (long)v->cursors[v->focus].at);
	}
	if (*v->search)
		messages_say(&v->messages, true, "not found: %s", v->search);
	return DRAW_LINES;
}

enum redraw find_next(struct view *v, int by)
{
	return *v->search ? find_from(v, v->cursors[v->focus].at + (size_t)by) : to_mode(v, MODE_SEARCH);
}

/* ---- the rest ---- */

enum redraw to_mode(struct view *v, int mode)
{
	v->mode = mode;
	v->help_top = 0;
	v->menu = pane_table.columns(&v->picture).sorted;
	if (mode == MODE_SEARCH)
		v->search[0] = '\0';
	return mode == MODE_HELP ? DRAW_SCREEN : DRAW_LINES;
}

enum redraw toggle_log(struct view *v, int unused)
{
	const struct layout_needs needs = view_needs(v);
	int least = layout_log_lines(v->layout.width, &needs);

	(void)unused;
	if (v->layout.height < least) {
		messages_say(&v->messages, false, "the log needs a screen of %d lines; this one has %d", least,
			     v->layout.height);
		return DRAW_LINES;
	}
	v->log = v->layout.boxes[PANE_LOG].height ? LOG_OFF : LOG_ON;
	if (v->log == LOG_OFF && v->focus == PANE_LOG)
		v->focus = PANE_TABLE;
	return DRAW_SCREEN;
}

enum redraw toggle_pause(struct view *v, int unused)
{
	(void)unused;
	view_pause(v);
	return DRAW_ROWS;
}

enum redraw reset_counts(struct view *v, int unused)
{
	(void)unused;
	v->reset = true;
	messages_say(&v->messages, false, "counting from now on%s",
		     v->picture.paused ? " (paused: the screen stays as it is)" : "");
	return DRAW_LINES;
}

enum redraw change_waits(struct view *v, int by)
{
	if (v->layout.header == HEADER_FULL)
		messages_say(&v->messages, false, "on this screen, the percentiles of all waits are shown");
	else
		v->picture.header_waits = (v->picture.header_waits + (unsigned int)by) % NR_HEADER_WAITS;
	return DRAW_LINES;
}

enum redraw take_snapshot(struct view *v, int unused)
{
	(void)unused;
	snapshot(&v->picture, &v->messages);
	return DRAW_LINES;
}

enum redraw continue_faults(struct view *v, int all)
{
	if (!v->control)
		messages_say(&v->messages, false, "faults are continued from here only with watch --control");
	else if (all)
		control_ask_all(v);
	else
		control_ask(v);
	return DRAW_LINES;
}

enum redraw only_return(struct view *v, int redraw)
{
	(void)v;
	return redraw;
}
