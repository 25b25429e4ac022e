/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pane is a struct of functions: for its rows, drawing them, finding them again, and acting on them. */
#ifndef CMD_VIEW_PANE_H
#define CMD_VIEW_PANE_H

#include "cmd/watch/view/columns.h"

/* The identity of a row, independent of its place. */
struct row_id {
	uint64_t key, key2;
};

struct pane {
	size_t (*nr_rows)(const struct picture *p);
	/* The text of its title, between the rules. */
	void (*title)(const struct picture *p, int width, enum style style, struct line *l);

	/* Its current columns, and their data for row i; or, without columns, a function that draws row i. */
	struct columns (*columns)(const struct picture *p);
	const void *(*row)(const struct picture *p, size_t i);
	void (*draw_row)(const struct picture *p, size_t i, int width, struct line *l);

	/* The rest may be NULL. */

	/* Find the rows and their order again. @width: of the pane; 0: it is not on a screen */
	void (*gather)(struct picture *p, int width);
	/* Sort rows by this column; if they are already, reverse the order. Gather them afterwards. */
	void (*sort)(struct picture *p, int column);
	/* NULL: its rows can't be selected. */
	struct row_id (*identity)(const struct picture *p, size_t i);
	/* The mapping of a row; true if each row belongs to a mapping, even if that is not known. */
	bool (*mapping)(const struct picture *p, size_t i, const struct mapping **ret);
	/* Instead of rows, on a screen: draw line i of this many. */
	void (*body)(const struct picture *p, int i, int nr_lines, int width, struct line *l);

	bool headless;	  /* the names of its columns are not shown */
	bool follows_end; /* the newest row is the last, and a selection there stays */
	bool controlled;  /* --control works on its selected row, whichever pane is active */
};

/* Lines of a pane: its title, its column names, or a row. */
void pane_title(const struct pane *pane, const struct picture *p, enum style style, int width, struct line *l);
bool pane_has_heads(const struct pane *pane);
void pane_heads(const struct pane *pane, const struct picture *p, int width, struct line *l);
void pane_row(const struct pane *pane, const struct picture *p, size_t i, int width, struct line *l);
/* The same as identity(); equal for all rows that do not exist. */
struct row_id pane_row_id(const struct pane *pane, const struct picture *p, size_t i);

#endif
