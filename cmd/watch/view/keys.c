// SPDX-License-Identifier: GPL-2.0-or-later
/* The keys: their actions, and their texts in the help and in the line at the bottom. */
#include <string.h>

/* ncurses' own bool is that of stdbool.h, too. */
#include <curses.h>

#include "cmd/watch/view/actions.h"
#include "cmd/watch/view/keys.h"

enum {
	MAX_CODES = 4
};

static const struct key {
	int codes[MAX_CODES];
	action_fn *act;
	int arg;
	const char *names, *help;  /* as help has them; NULL: not there */
	const char *bar_key, *bar; /* in the bottom line; likewise */
} keys[] = {
	{ { KEY_F(1), 'h', '?' }, to_mode, MODE_HELP, "F1 h ?", "this help", "F1", "Help" },
	{ { KEY_F(3), '/' }, to_mode, MODE_SEARCH, "F3 /", "search in this pane; F3 or n: next match", "F3", "Search" },
	{ { 'n' }, find_next, 1, "n", "go to the next match", NULL, NULL },
	{ { KEY_F(4), '\\' }, to_mode, MODE_FILTER, "F4 \\", "filter table and log by names; Esc: all", "F4", "Filter" },
	{ { KEY_ESCAPE }, clear_filter, 0, "Esc", "clear the filter", NULL, NULL },
	{ { KEY_F(5) }, change_grouping, 1, "F5 g", "group the table by something else", "F5", "Group" },
	{ { 'g' }, change_grouping, 1, NULL, NULL, NULL, NULL },
	{ { KEY_F(6) }, to_mode, MODE_SORT, "F6", "choose the column to sort by", "F6", "Sort" },
	{ { '<', ',' }, change_column, -1, "< >", "sort by the column to the left or right", NULL, NULL },
	{ { '>', '.' }, change_column, 1, NULL, NULL, NULL, NULL },
	{ { 'I' }, reverse_order, 0, "I", "reverse the order", NULL, NULL },
	{ { 'c' }, continue_faults, 0, "c", "continue the selected thread's minor fault", "c", "Continue" },
	{ { 'C' }, continue_faults, 1, "C", "continue all minor faults in this mapping", "C", "All" },
	{ { ' ', 'p' }, toggle_pause, 0, "space p", "pause the screen; counting goes on", "Space", "Pause" },
	{ { 'r' }, reset_counts, 0, "r", "reset: count from now on", "r", "Reset" },
	{ { 'w' }, change_waits, 1, "w", "in a small header: the next of the waits", NULL, NULL },
	{ { 's' }, take_snapshot, 0, "s", "write a snapshot with all rows to a file", "s", "Snapshot" },
	{ { 'l' }, toggle_log, 0, "l", "show or hide the log of last faults", "l", "Log" },
	{ { '\t' }, go_panes, 1, "Tab Shift-Tab", "next or previous pane", NULL, NULL },
	{ { KEY_BTAB }, go_panes, -1, NULL, NULL, NULL, NULL },
	{ { KEY_UP, 'k' }, go_rows, -1, "arrows j k", "select a row", NULL, NULL },
	{ { KEY_DOWN, 'j' }, go_rows, 1, NULL, NULL, NULL, NULL },
	{ { KEY_PPAGE, CTRL('b') }, go_pages, -1, "PgUp PgDn", "page up or down", NULL, NULL },
	{ { KEY_NPAGE, CTRL('f') }, go_pages, 1, NULL, NULL, NULL, NULL },
	{ { KEY_HOME, CTRL('a') }, go_to_end, -1, "Home End", "first or last row", NULL, NULL },
	{ { KEY_END, CTRL('e') }, go_to_end, 1, NULL, NULL, NULL, NULL },
	{ { CTRL('l') }, only_return, DRAW_SCREEN, "Ctrl-L", "redraw the screen", NULL, NULL },
	{ { KEY_F(10), 'q' }, only_return, VIEW_QUIT, "F10 q", "quit", "F10", "Quit" },
};

#define NR_KEYS (sizeof(keys) / sizeof(keys[0]))

static bool is_there(const struct view *v, const struct key *k)
{
	return v->control || k->act != continue_faults;
}

static bool has_code(const struct key *k, int code)
{
	for (size_t i = 0; i < MAX_CODES && k->codes[i]; i++)
		if (k->codes[i] == code)
			return true;
	return false;
}

enum redraw keys_press(struct view *v, int code)
{
	for (size_t i = 0; i < NR_KEYS; i++)
		if (has_code(&keys[i], code))
			return keys[i].act(v, keys[i].arg);
	messages_say(&v->messages, false, "this key does nothing here; F1 lists those that do");
	return DRAW_LINES;
}

/* ---- the line at the bottom ---- */

/* The place of a key in the bar, for clicks. The last key, quit, always has a place. */
struct bar_walk {
	int width, at;
};

static bool bar_has(const struct view *v, const struct key *k, struct bar_walk *w, int *from)
{
	int need, last = (int)strlen("F10Quit");

	if (!k->bar || !is_there(v, k))
		return false;
	need = (int)(strlen(k->bar_key) + strlen(k->bar)) + 1;
	if (w->at + need + (k == &keys[NR_KEYS - 1] ? 0 : last) > w->width)
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

enum redraw keys_bar_click(struct view *v, int x)
{
	struct bar_walk w = { v->layout.width + 1, 0 };
	int from;

	for (size_t i = 0; i < NR_KEYS; i++)
		if (bar_has(v, &keys[i], &w, &from) && x >= from && x < w.at)
			return keys[i].act(v, keys[i].arg);
	return DRAW_NOTHING;
}

/* ---- help ---- */

static const char *const notes[] = {
	"",
	"Strips: square root of the faults in the last seconds.",
	"!: waits for more than a second; !!: more than ten.",
	"Percentiles (<=): upper bounds, or the longest wait.",
	"QUEUED, HANDLED: P99 until the message was read, and after.",
	"Mouse: a click selects, sorts, or acts as a key below.",
};

#define NR_NOTES (sizeof(notes) / sizeof(notes[0]))

size_t keys_help_lines(const struct view *v)
{
	size_t nr = NR_NOTES;

	for (size_t i = 0; i < NR_KEYS; i++)
		nr += keys[i].help && is_there(v, &keys[i]);
	return nr;
}

void keys_help_line(const struct view *v, size_t i, struct line *l)
{
	for (size_t k = 0; k < NR_KEYS; k++) {
		if (!keys[k].help || !is_there(v, &keys[k]))
			continue;
		if (i--)
			continue;
		line_add(l, STYLE_PLAIN, " ");
		line_field(l, STYLE_STRONG, keys[k].names, 14, true);
		line_addf(l, STYLE_PLAIN, "  %s", keys[k].help);
		return;
	}
	line_addf(l, STYLE_DIM, " %s", i < NR_NOTES ? notes[i] : "");
}
