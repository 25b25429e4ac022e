/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The column table of a pane determines its heads, its rows, and their order. */
#ifndef CMD_VIEW_COLUMNS_H
#define CMD_VIEW_COLUMNS_H

#include "cmd/watch/view/field.h"
#include "cmd/watch/view/picture.h"

enum view_column_flags {
	COLUMN_RIGHT = 1 << 0,
	COLUMN_TIGHT = 1 << 1, /* no blank behind it */
	COLUMN_LONG = 1 << 2,  /* a longer text is not cut off, and pushes the rest of the row to the right */
	COLUMN_GROWS = 1 << 3, /* gets the remaining width; one column of a pane */
	COLUMN_NAME = 1 << 4,  /* the filter looks for its text here */
};

struct view_column {
	const char *name; /* NULL: that of struct columns */
	unsigned int flags;
	int width;	     /* 0: the column that grows */
	int wide, wide_from; /* width in panes of at least this many columns; 0: the same */
	int from;	     /* minimum width of the pane for this column */
	int rank; /* 0, or needed, or rows are sorted by it: always shown; columns with a higher number are hidden first */
	void (*get)(const struct picture *p, const void *row, struct field *ret);
};

/* The get of a column: the value of field f for row r of the picture p. */
#define COLUMN_GET(name, type, what)                                                      \
	static void get_##name(const struct picture *p, const void *row, struct field *f) \
	{                                                                                 \
		const struct type *r = row;                                               \
                                                                                          \
		(void)p;                                                                  \
		what;                                                                     \
	}

/* The columns of a pane as they are now. */
struct columns {
	const struct picture *p;
	const struct view_column *all;
	int nr;
	unsigned int hidden; /* bits: the columns that make no sense now */
	unsigned int needed; /* bits: rows that differ in these alone would look alike */
	const char *name;    /* of the one without */
	int margin;	     /* blanks at both sides */
	int least, most;     /* widths of the one that grows */
	int sorted;	     /* rows are in the order of this one; -1: of none */
	bool ascending;
};

/* The columns that have room in this width, and the width of the one that grows. */
struct fit {
	int width;
	unsigned int shown; /* bits */
	int grown;
};

void columns_fit(const struct columns *c, int width, struct fit *ret);
/* The column at this place of a line, or -1. */
int columns_at(const struct columns *c, int width, int x);
void columns_heads(const struct columns *c, int width, struct line *l);
void columns_row(const struct columns *c, const void *row, int width, struct line *l);
const char *columns_name(const struct columns *c, int i);

/* The sort key of rows. */
struct sort_key {
	uint64_t number;
	char text[64];
	uint32_t row;
};

void columns_key(const struct columns *c, const void *row, struct sort_key *ret);
/* Is this text, in upper or lower case, in the names of a row? */
bool columns_match(const struct columns *c, const void *row, const char *text);
void columns_sort(const struct columns *c, struct sort_key *keys, size_t nr);

#endif
