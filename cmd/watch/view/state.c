// SPDX-License-Identifier: GPL-2.0-or-later
/* The state of the view: what is shown, where, and what the user has chosen. */
#include "cmd/watch/view/pane_wait.h"
#include "cmd/watch/view/state.h"

void view_init(struct view *v, struct model *live, struct model *frame)
{
	v->live = live;
	v->frame = frame;
	v->focus = PANE_TABLE;
	v->picture.m = frame;
	/* By the number of faults, most first. */
	for (int i = 0; i < NR_GROUPINGS; i++)
		v->picture.table.sort[i].column = 1;
}

void view_take_frame(struct view *v)
{
	if (!v->picture.paused)
		model_copy(v->frame, v->live);
}

void view_pause(struct view *v)
{
	v->picture.paused = !v->picture.paused;
	view_take_frame(v);
}

void view_gather(struct view *v)
{
	panes_gather(&v->picture, v->layout.too_small ? 0 : v->layout.width);
}

struct layout_needs view_needs(const struct view *v)
{
	const struct scan *scan = &v->frame->scan;
	struct layout_needs needs = { .nr_mappings = v->picture.heat.nr,
				      .nr_failures = failures_nr(&v->frame->failures),
				      .log = v->log };

	while (needs.nr_stuck < scan->nr_waiters && is_stuck(&scan->waiters[needs.nr_stuck]))
		needs.nr_stuck++;
	return needs;
}

void view_arrange(struct view *v, int width, int height)
{
	const struct layout_needs needs = view_needs(v);

	layout_make(width, height, &needs, &v->layout);
	if (!v->layout.too_small && !view_can_focus(v, v->focus))
		v->focus = PANE_TABLE;
	for (int i = 0; i < NR_PANES; i++)
		if (panes[i]->identity)
			cursor_settle(&v->cursors[i], panes[i], &v->picture, (size_t)box_rows(&v->layout.boxes[i]));
}

bool view_can_focus(const struct view *v, enum pane_id id)
{
	return panes[id]->identity && v->layout.boxes[id].height;
}

void view_move(struct view *v, enum pane_id id, long by)
{
	cursor_move(&v->cursors[id], panes[id], &v->picture, by);
}

const struct waiter *view_selected_waiter(const struct view *v)
{
	const struct scan *scan = &v->frame->scan;
	size_t at = v->cursors[PANE_WAIT].at;

	return at < scan->nr_waiters ? &scan->waiters[at] : NULL;
}

static bool selected_in(const struct view *v, enum pane_id id, const struct mapping **ret)
{
	size_t at = v->cursors[id].at;

	return panes[id]->mapping && at < panes[id]->nr_rows(&v->picture) && panes[id]->mapping(&v->picture, at, ret);
}

const struct mapping *view_selected_mapping(const struct view *v)
{
	const struct mapping *map = NULL;

	return selected_in(v, v->focus, &map) || selected_in(v, PANE_WAIT, &map) ? map : NULL;
}
