// SPDX-License-Identifier: GPL-2.0-or-later
/* Which row is selected in each pane of the view, and what is in sight. */
#include "cmd/watch/view/view.h"

/* What a row is, wherever it stands. */
static void identify(const struct view *v, enum pane p, size_t i, uint64_t *key, uint64_t *key2)
{
	*key = *key2 = 0;
	if (i >= pane_rows(v, p))
		return;
	if (p == PANE_WAIT) {
		*key = (uint64_t)v->m->scan.waiters[i].tid;
		*key2 = v->m->scan.waiters[i].addr;
	} else if (p == PANE_HEAT) {
		*key = v->m->mappings.slots[v->heat[i]].id;
	} else if (p == PANE_TABLE) {
		*key = v->m->groups[v->grouping].rows[v->rows.at[i]].key;
		*key2 = v->m->groups[v->grouping].rows[v->rows.at[i]].key2;
	} else {
		/* The newest is last: what is counted from there moves on with it. */
		*key = pane_rows(v, p) - i;
	}
}

static void find_again(struct view *v, enum pane p)
{
	struct cursor *c = &v->cursors[p];
	uint64_t key, key2;

	identify(v, p, c->at, &key, &key2);
	if (key == c->key && key2 == c->key2)
		return;
	for (size_t i = 0; i < pane_rows(v, p); i++) {
		identify(v, p, i, &key, &key2);
		if (key == c->key && key2 == c->key2) {
			c->at = i;
			return;
		}
	}
}

static void settle(struct view *v, enum pane p)
{
	size_t nr = pane_rows(v, p), room = (size_t)box_rows(&v->layout.panes[p]);
	struct cursor *c = &v->cursors[p];

	/* At the top one stays there: that is where it matters most. The log follows its end likewise. */
	if (p == PANE_LOG && c->key <= 1)
		c->at = nr ? nr - 1 : 0;
	else if (c->at || p == PANE_LOG)
		find_again(v, p);
	if (c->at >= nr)
		c->at = nr ? nr - 1 : 0;
	identify(v, p, c->at, &c->key, &c->key2);
	if (c->top > c->at)
		c->top = c->at;
	if (room && c->at >= c->top + room)
		c->top = c->at - room + 1;
	if (c->top + room > nr)
		c->top = nr > room ? nr - room : 0;
}

void cursors_settle(struct view *v)
{
	for (int p = 0; p < NR_SCROLLING; p++)
		settle(v, p);
}

void cursor_move(struct view *v, enum pane p, long by)
{
	struct cursor *c = &v->cursors[p];
	size_t nr = pane_rows(v, p);

	if (by < 0 && (size_t)-by > c->at)
		c->at = 0;
	else
		c->at += (size_t)by;
	if (c->at >= nr)
		c->at = nr ? nr - 1 : 0;
	identify(v, p, c->at, &c->key, &c->key2);
}

const struct waiter *selected_waiter(const struct view *v)
{
	size_t at = v->cursors[PANE_WAIT].at;

	return at < v->m->scan.nr_waiters ? &v->m->scan.waiters[at] : NULL;
}

/* In the pane that keys go to, if its rows are mappings; else where the selected thread waits. */
const struct mapping *selected_mapping(const struct view *v)
{
	const struct waiter *w = selected_waiter(v);
	size_t at = v->cursors[v->focus].at;

	if (v->focus == PANE_HEAT && at < v->nr_heat)
		return &v->m->mappings.slots[v->heat[at]];
	if (v->focus == PANE_TABLE && v->grouping == BY_MAPPING && at < v->rows.nr)
		return mappings_by_id(&v->m->mappings, (uint32_t)v->m->groups[BY_MAPPING].rows[v->rows.at[at]].key);
	return w ? model_find(v->m, w->target_pid, w->addr) : NULL;
}
