/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of styled text that know their width, and how numbers are written in them. */
#ifndef CMD_VIEW_TEXT_H
#define CMD_VIEW_TEXT_H

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
/* What has no room is cut off. What can't be shown in this locale becomes "?". */
void line_add(struct line *l, enum style style, const char *text);
void line_addf(struct line *l, enum style style, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Blanks, or copies of a character, up to this column. */
void line_to(struct line *l, enum style style, int col, const char *fill);
/* In exactly so many columns; cut off with a mark where it is longer. */
void line_field(struct line *l, enum style style, const char *text, int width, bool right);
/* All that is there gets another style, as for a selected row. */
void line_restyle(struct line *l, enum style style);

/* Columns that a text takes in this locale. */
int text_width(const char *text, bool utf8);

/* A name from a target, fit to draw: escaped; memfd names without their " (deleted)". Free with free(). */
char *text_name(const char *raw);

/* Numbers, into buf; "-" for UFFDCTL_UNKNOWN. */
enum {
	NUM_SIZE = 32
};
const char *text_count(char *buf, uint64_t n, int width); /* 12,113; 12.1M where that is too wide */
const char *text_wait(char *buf, uint64_t ns, bool utf8); /* 41ns 41.0us 128us 1.2ms 38.0s 12m03s */
const char *text_bytes(char *buf, uint64_t n);		  /* 4K 64M 1.5G */
const char *text_uptime(char *buf, uint64_t ns);	  /* 12:31, 1:02:03 */

/* A bar of so many columns, part of whole, rounded up to something visible. Adds to the line. */
void line_bar(struct line *l, enum style style, uint64_t part, uint64_t whole, int width);
/* One cell of a shade from 0 (none) to 8. */
const char *text_shade(int level, bool utf8);
/* 0 for none, else 1 to 8 by the square root of part, 8 for whole: a little shows, and much stands out. */
int shade_of(double part, double whole);

#endif
