/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of the view: what is shown, where, and what the user has chosen. */
#ifndef CMD_VIEW_STATE_H
#define CMD_VIEW_STATE_H

#include "cmd/watch/view/cursor.h"
#include "cmd/watch/view/layout.h"
#include "cmd/watch/view/messages.h"

enum mode {
	MODE_NORMAL,
	MODE_HELP,
	MODE_SEARCH,
	MODE_FILTER,
	MODE_SORT,
	MODE_CONFIRM
};

/* The parts to redraw after a key. */
enum redraw {
	DRAW_NOTHING,
	DRAW_LINES,  /* what is known, again */
	DRAW_ROWS,   /* also find the rows again */
	DRAW_SCREEN, /* all, as after a resize */
	VIEW_QUIT,
};

struct view;

struct question {
	char lines[8][VIEW_MESSAGE];
	size_t nr_lines;
	void (*yes)(struct view *v);
};

struct view {
	struct uffdctl *u;
	struct model *live, *frame; /* the frame that is shown: a copy of the live model */
	struct picture picture;
	struct layout layout;
	struct cursor cursors[NR_PANES];
	struct view_messages messages;

	enum mode mode;
	enum pane_id focus;
	enum log_wish log;
	char search[VIEW_PROMPT];
	int menu; /* the line of the sort menu */
	size_t help_top;

	bool reset; /* wanted: when all faults that have ended were read */
	bool control;
	struct question question;
	struct plan *plan; /* the plan of the question; NULL: none yet */
};

/* @live, @frame: allocated with calloc(). All else is zero. */
void view_init(struct view *v, struct model *live, struct model *frame);
/* Update the picture from the model, unless it is paused. */
void view_take_frame(struct view *v);
void view_pause(struct view *v);
/* Find the rows again, as after a new frame. */
void view_gather(struct view *v);
struct layout_needs view_needs(const struct view *v);
/* Compute the layout for a screen of this size. */
void view_arrange(struct view *v, int width, int height);

/* The user can move to it, and in it. */
bool view_can_focus(const struct view *v, enum pane_id id);
void view_move(struct view *v, enum pane_id id, long by);
/* NULL: nothing is selected. */
const struct waiter *view_selected_waiter(const struct view *v);
/*
 * The selected mapping of the active pane, if its rows are mappings; otherwise the one in which the selected thread
 * waits.
 */
const struct mapping *view_selected_mapping(const struct view *v);

#endif
