/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pane is a struct of functions: what its rows are, how they are drawn and found again, what is done with them. */
#ifndef CMD_VIEW_PANE_H
#define CMD_VIEW_PANE_H

#include "cmd/watch/view/columns.h"

/* What a row is, wherever it stands. */
struct row_id {
	uint64_t key, key2;
};

struct pane {
	size_t (*nr_rows)(const struct picture *p);
	/* What stands in its title, between the rules. */
	void (*title)(const struct picture *p, int width, enum style style, struct line *l);

	/* Its columns as they are now, and what they get for row i; or, without columns, how that row is drawn. */
	struct columns (*columns)(const struct picture *p);
	const void *(*row)(const struct picture *p, size_t i);
	void (*draw_row)(const struct picture *p, size_t i, int width, struct line *l);

	/* The rest may be NULL. */

	/* Which rows there are, and their order, anew. @width: of the pane; 0: it is not on a screen */
	void (*gather)(struct picture *p, int width);
	/* Rows shall be in the order of this column; if they are, in the reverse. Gather them then. */
	void (*sort)(struct picture *p, int column);
	/* NULL: its rows can't be selected. */
	struct row_id (*identity)(const struct picture *p, size_t i);
	/* The mapping that a row stands for; true where rows stand for one, though it may be unknown. */
	bool (*mapping)(const struct picture *p, size_t i, const struct mapping **ret);
	/* Instead of rows, on a screen: line i of so many. */
	void (*body)(const struct picture *p, int i, int nr_lines, int width, struct line *l);

	bool headless;	  /* the names of its columns are not shown */
	bool follows_end; /* the newest row is the last, and stays selected */
	bool controlled;  /* --control works on its selected row, whichever pane keys go to */
};

/* Lines of a pane: its title, the names of its columns, a row. */
void pane_title(const struct pane *pane, const struct picture *p, enum style style, int width, struct line *l);
bool pane_has_heads(const struct pane *pane);
void pane_heads(const struct pane *pane, const struct picture *p, int width, struct line *l);
void pane_row(const struct pane *pane, const struct picture *p, size_t i, int width, struct line *l);
/* As identity(); the same for all rows that are not there. */
struct row_id pane_row_id(const struct pane *pane, const struct picture *p, size_t i);

#endif
