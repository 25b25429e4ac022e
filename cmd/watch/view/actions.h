/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The actions of keys and clicks. */
#ifndef CMD_VIEW_ACTIONS_H
#define CMD_VIEW_ACTIONS_H

#include "cmd/watch/view/state.h"

/* @arg: as described at each; others ignore it */
typedef enum redraw action_fn(struct view *v, int arg);

/* Move by this many; negative numbers go left and up. */
action_fn go_rows, go_pages, go_to_end, go_panes, change_grouping, change_column, find_next;
/* enum mode */
action_fn to_mode;
/* 0: the fault of the selected thread; 1: all faults in the selected mapping */
action_fn continue_faults;
/* enum redraw */
action_fn only_return;
action_fn reverse_order, toggle_log, toggle_pause, take_snapshot, reset_counts, clear_filter, change_waits;

enum redraw go_by(struct view *v, enum pane_id id, long by);
enum redraw sort_by(struct view *v, int column);
/* The row of the pane that contains the text: from this one on first, then from the top. */
enum redraw find_from(struct view *v, size_t from);

#endif
