// SPDX-License-Identifier: GPL-2.0-or-later
/* The column table of a pane determines its heads, its rows, and their order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch/view/columns.h"

enum {
	NR_RANKS = 20,
	LITTLE = 5, /* below this width, the column that grows is left out */
};

/* ---- which have room ---- */

static int width_in(const struct view_column *col, int pane_width)
{
	return col->wide && pane_width >= col->wide_from ? col->wide : col->width;
}

/* The user has to see the column that rows are sorted by, too. */
static int rank_of(const struct columns *c, int i)
{
	return i == c->sorted || c->needed >> i & 1 ? 0 : c->all[i].rank;
}

static int gap_behind(const struct view_column *col)
{
	return !(col->flags & COLUMN_TIGHT);
}

/* Take the columns of a rank; false: one had no room. */
static bool fit_rank(const struct columns *c, int rank, int *left, struct fit *ret)
{
	for (int i = 0; i < c->nr; i++) {
		const struct view_column *col = &c->all[i];
		int need = width_in(col, ret->width) + gap_behind(col);

		if (rank_of(c, i) != rank || c->hidden >> i & 1 || ret->width < col->from)
			continue;
		if (rank && need > *left)
			return false;
		ret->shown |= 1u << i;
		*left -= need;
	}
	return true;
}

void columns_fit(const struct columns *c, int width, struct fit *ret)
{
	int left = width - 2 * c->margin - c->least, rank = 0;

	*ret = (struct fit){ .width = width };
	/* Stop at the first column without room: a less important one must not take its place. */
	while (rank < NR_RANKS && fit_rank(c, rank, &left, ret))
		rank++;
	ret->grown = c->least + left < c->most ? c->least + left : c->most;
}

static int fit_width(const struct columns *c, const struct fit *fit, int i)
{
	return c->all[i].flags & COLUMN_GROWS ? fit->grown : width_in(&c->all[i], fit->width);
}

/* The next visible one after i; -1 to begin with, and at the end. */
static int next_shown(const struct columns *c, const struct fit *fit, int i)
{
	for (i++; i < c->nr; i++)
		if (fit->shown >> i & 1)
			return i;
	return -1;
}

int columns_at(const struct columns *c, int width, int x)
{
	int at = c->margin;
	struct fit fit;

	columns_fit(c, width, &fit);
	for (int i = -1; (i = next_shown(c, &fit, i)) >= 0;) {
		at += fit_width(c, &fit, i) + gap_behind(&c->all[i]);
		if (x < at)
			return i;
	}
	return -1;
}

/* ---- lines ---- */

const char *columns_name(const struct columns *c, int i)
{
	return c->all[i].name ?: c->name;
}

void columns_heads(const struct columns *c, int width, struct line *l)
{
	const char *mark = l->utf8 ? c->ascending ? "▲" : "▼" : c->ascending ? "^" : "v";
	char name[NUM_SIZE];
	struct fit fit;

	columns_fit(c, width, &fit);
	line_to(l, STYLE_HEAD, c->margin, " ");
	for (int i = -1; (i = next_shown(c, &fit, i)) >= 0;) {
		const struct view_column *col = &c->all[i];

		snprintf(name, sizeof(name), "%s%s", columns_name(c, i), i == c->sorted ? mark : "");
		line_field(l, i == c->sorted ? STYLE_SORTED : STYLE_HEAD, name, fit_width(c, &fit, i),
			   col->flags & COLUMN_RIGHT);
		line_to(l, STYLE_HEAD, l->cols + gap_behind(col), " ");
	}
	line_to(l, STYLE_HEAD, width, " ");
}

static void draw_column(const struct columns *c, const void *row, int i, int width, struct line *l)
{
	const struct view_column *col = &c->all[i];
	struct field f = {};

	if (width < (col->flags & COLUMN_GROWS ? LITTLE : 1))
		return;
	col->get(c->p, row, &f);
	if (col->flags & COLUMN_LONG && f.text && text_width(f.text, l->utf8) > width)
		width = text_width(f.text, l->utf8);
	field_draw(&f, width, col->flags & COLUMN_RIGHT, l);
	field_free(&f);
}

void columns_row(const struct columns *c, const void *row, int width, struct line *l)
{
	struct fit fit;

	columns_fit(c, width, &fit);
	line_to(l, STYLE_PLAIN, c->margin, " ");
	for (int i = -1; (i = next_shown(c, &fit, i)) >= 0;) {
		int left = width - c->margin - l->cols, wide = fit_width(c, &fit, i);

		draw_column(c, row, i, wide < left ? wide : left, l);
		if (next_shown(c, &fit, i) >= 0)
			line_to(l, STYLE_PLAIN, l->cols + gap_behind(&c->all[i]), " ");
	}
}

/* ---- the filter ---- */

bool columns_match(const struct columns *c, const void *row, const char *text)
{
	struct line l;

	/* With a blank between, so that "4211 vcpu0" is found where these are two columns. */
	line_init(&l, LINE_COLS, true);
	for (int i = 0; i < c->nr; i++) {
		struct field f = {};

		if (!(c->all[i].flags & COLUMN_NAME))
			continue;
		c->all[i].get(c->p, row, &f);
		line_addf(&l, STYLE_PLAIN, "%s%s ", f.text ?: "", f.tail);
		field_free(&f);
	}
	return strcasestr(l.text, text);
}

/* ---- order ---- */

void columns_key(const struct columns *c, const void *row, struct sort_key *ret)
{
	struct field f = {};

	c->all[c->sorted].get(c->p, row, &f);
	ret->number = f.type == FIELD_TEXT ? 0 : f.number;
	snprintf(ret->text, sizeof(ret->text), "%s", f.text ?: "");
	/* "812 vcpu0" before "4211 handler" */
	if (*ret->text >= '0' && *ret->text <= '9')
		ret->number = strtoull(ret->text, NULL, 10);
	field_free(&f);
}

static int cmp_key(const void *a, const void *b, void *arg)
{
	const struct sort_key *p = a, *q = b;
	const bool *ascending = arg;
	int r = p->number == q->number ? strcasecmp(p->text, q->text) : p->number < q->number ? -1 : 1;

	if (r)
		return *ascending ? r : -r;
	/* Equal rows keep their order from one picture to the next. */
	return p->row < q->row ? -1 : 1;
}

void columns_sort(const struct columns *c, struct sort_key *keys, size_t nr)
{
	bool ascending = c->ascending;

	qsort_r(keys, nr, sizeof(keys[0]), cmp_key, &ascending);
}
