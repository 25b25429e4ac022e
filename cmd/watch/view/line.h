/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of styled text that know their width. */
#ifndef CMD_VIEW_LINE_H
#define CMD_VIEW_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum style {
	STYLE_PLAIN,
	STYLE_DIM,    /* rules, what is not there */
	STYLE_TITLE,  /* of a pane */
	STYLE_FOCUS,  /* of the pane that keys go to */
	STYLE_HEAD,   /* of a column */
	STYLE_SORTED, /* of the column that rows are sorted by */
	STYLE_STRONG,
	STYLE_GOOD,
	STYLE_WARN,
	STYLE_BAD,
	STYLE_KEY,    /* in the bar at the bottom */
	STYLE_BUTTON, /* what it does */
	STYLE_SELECTED,
	STYLE_PROMPT,
	NR_STYLES
};

enum {
	LINE_COLS = 512,
	LINE_BYTES = LINE_COLS * 8,
};

struct line {
	char text[LINE_BYTES + 1];
	uint8_t styles[LINE_BYTES]; /* of each byte */
	size_t len;
	int cols, max; /* width so far, and at most */
	bool utf8;
};

void line_init(struct line *l, int max, bool utf8);
/* Add text; it is cut off at the end. A character that this locale can't show becomes "?". */
void line_add(struct line *l, enum style style, const char *text);
void line_addf(struct line *l, enum style style, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Add blanks, or copies of a character, up to this column. */
void line_to(struct line *l, enum style style, int col, const char *fill);
/* Add text in exactly this many columns; a longer one is cut off with a mark. */
void line_field(struct line *l, enum style style, const char *text, int width, bool right);
/* Change the style of the whole line, for example of a selected row. */
void line_restyle(struct line *l, enum style style);

/* The width of a text in columns, in this locale. */
int text_width(const char *text, bool utf8);

/* A bar of this many columns, part of whole, rounded up so that it is visible. */
void line_bar(struct line *l, enum style style, uint64_t part, uint64_t whole, int width);

#endif
