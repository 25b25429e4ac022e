/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the view share: what the user chose, what stands where, and how lines are made of it. */
#ifndef CMD_VIEW_H
#define CMD_VIEW_H

#include "cmd/cmd.h"
#include "cmd/watch/clock.h"
#include "cmd/watch/output.h"
#include "cmd/watch/view/model.h"
#include "cmd/watch/view/text.h"

/* ---- what stands where ---- */

enum pane {
	PANE_WAIT, /* longest-blocked faults */
	PANE_HEAT,
	PANE_TABLE,
	PANE_LOG,
	NR_SCROLLING, /* those above have rows that one moves in */
	PANE_HISTOGRAM = NR_SCROLLING,
	NR_PANES
};

enum {
	VIEW_MIN_WIDTH = 60,
	VIEW_MIN_HEIGHT = 15,
	VIEW_HEADER = 3,  /* lines at the top */
	SCREEN_WIDE = 76, /* from here on there is room beside */
};

/* The first line is the title; with heads, the second names the columns. height 0: not there. */
struct box {
	int y, x, height, width;
	bool heads;
};

struct layout {
	int width, height;
	bool too_small;
	struct box panes[NR_PANES];
};

enum log_wish {
	LOG_AUTO, /* where there is room */
	LOG_ON,
	LOG_OFF
};

void layout_make(int width, int height, size_t nr_mappings, enum log_wish log, struct layout *ret);
/* Rows that a pane has room for. */
int box_rows(const struct box *b);

/* ---- what the user chose ---- */

enum mode {
	MODE_NORMAL,
	MODE_HELP,
	MODE_SEARCH,
	MODE_FILTER,
	MODE_SORT,
	MODE_CONFIRM
};

/* Where one is in a pane. Away from the top it stays with its row, wherever that goes. */
struct cursor {
	size_t at, top;
	uint64_t key, key2;
};

struct rows {
	uint32_t at[VIEW_MAX_GROUPS + 1]; /* indices of groups */
	size_t nr;
};

enum {
	VIEW_PROMPT = 64,
	VIEW_MESSAGE = 512,
	VIEW_NR_MESSAGES = 8,
};

struct view {
	struct model *m; /* the frame that is shown: a copy of the live one, as it was */
	struct model *live;
	bool utf8, control, paused;

	enum mode mode;
	enum pane focus;
	enum log_wish log;
	enum grouping grouping;
	struct {
		int column;
		bool ascending;
	} sort[NR_GROUPINGS];
	char filter[VIEW_PROMPT], search[VIEW_PROMPT];
	int menu; /* the line of the sort menu */
	size_t help_top;

	struct cursor cursors[NR_SCROLLING];
	struct rows rows;		  /* of the table */
	uint32_t heat[VIEW_MAX_MAPPINGS]; /* slots of mappings, in their order */
	size_t nr_heat;
	double hottest; /* what a cell has at most: shades are parts of it, and it falls slower than they do */
	uint64_t hottest_ns;
	struct layout layout;

	/* The name of an instruction, or NULL. Never blocks. */
	const char *(*symbol)(pid_t pid, uint64_t ip);

	char message[VIEW_MESSAGE]; /* in the line above the bar */
	uint64_t message_ns;
	bool message_bad;
	char messages[VIEW_NR_MESSAGES][VIEW_MESSAGE]; /* the library's, a ring, for stderr at the end */
	size_t nr_messages;

	char question[8][VIEW_MESSAGE]; /* lines */
	size_t nr_question;
	void (*yes)(struct view *v);
};

/* ---- rows of the table ---- */

/* All that filters and order depend on is made anew. */
void rows_gather(struct view *v);
/* The name of a row: free with free(). */
char *row_label(const struct view *v, const struct group *g);
/* What a mapping is called, likewise. */
char *mapping_label(const struct view *v, const struct mapping *map);

int table_columns(void);
const char *column_name(const struct view *v, int column);
bool column_is_there(const struct view *v, int column);
/* Which columns have room, as bits, and the width of the first. */
unsigned int table_fit(const struct view *v, int width, int *first);
/* The column at a place of the line, or -1. */
int table_column_at(const struct view *v, int width, int x);
void table_heads(const struct view *v, int width, struct line *l);
void table_row_line(const struct view *v, size_t i, int width, struct line *l);
const char *grouping_name(enum grouping g);

/* ---- lines of the panes ---- */

void header_line(const struct view *v, int y, int width, struct line *l);
void pane_title(const struct view *v, enum pane p, int width, struct line *l);
void pane_heads(const struct view *v, enum pane p, int width, struct line *l);
size_t pane_rows(const struct view *v, enum pane p);
void pane_row(const struct view *v, enum pane p, size_t i, int width, struct line *l);
/* The histogram in so many lines, the last an axis; and its bucket i as numbers. */
void histogram_line(const struct view *v, int i, int nr_lines, int width, struct line *l);
void histogram_row(const struct view *v, int i, struct line *l);
/* Which row a cursor is on, found again after rows moved; and scrolled into sight. */
void cursors_settle(struct view *v);
void cursor_move(struct view *v, enum pane p, long by);
/* Order of mappings in the heat pane, and what its shades are parts of. */
void heat_gather(struct view *v);
/* What the cursors say is selected. NULL: nothing. */
const struct waiter *selected_waiter(const struct view *v);
const struct mapping *selected_mapping(const struct view *v);

extern const struct watch_output output_view;
/* Are stdin and stdout a terminal that it can be on? */
bool view_usable(void);

/* ---- actions ---- */

/* What must be drawn again after a key. */
enum redraw {
	DRAW_NOTHING,
	DRAW_LINES,  /* what is known, again */
	DRAW_ROWS,   /* rows gathered anew, too */
	DRAW_SCREEN, /* all, as after a resize */
	VIEW_QUIT,
};

void view_say(struct view *to, bool bad, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void view_pause(struct view *to);
/* Writes all there is to a new file, and says where. */
void view_snapshot(struct view *v);
void view_ask_continue(struct view *v);
void view_ask_continue_all(struct view *v);
void view_forget_plan(void);

/* ---- keys (view_keys.c) ---- */

enum redraw view_key(struct view *v, int code);
enum redraw view_mouse(struct view *v);
void keys_bar(const struct view *v, int width, struct line *l);
size_t keys_help_lines(const struct view *v);
void keys_help_line(const struct view *v, size_t nr, int width, struct line *l);

#endif
