/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One table of columns makes the listing, its JSON, -o and --list-columns. */
#ifndef CMD_TABLE_H
#define CMD_TABLE_H

#include "cmd/cell.h"
#include "cmd/messages.h"

enum column_flags {
	COL_RIGHT = 1 << 0,
	COL_HIDDEN = 1 << 1, /* in JSON and with -o, not in the listing */
	COL_EXTRA = 1 << 2,  /* with -o only */
	COL_WIDE = 1 << 3,   /* this one is shortened on a narrow terminal */
	COL_GROUP = 1 << 4,  /* COL_EXTRA that an option of the command adds */
	COL_NS = 1 << 5,     /* a duration: "_ns" in JSON */
	COL_LONG = 1 << 6,   /* numbers that grow from row to row */
	COL_WRAP = 1 << 7,   /* text that goes on in the next line on a narrow terminal */
};

struct column {
	const char *name; /* "PENDING"; "pending" in JSON */
	const char *help;
	unsigned int flags;
	void (*get)(const void *row, struct cell *ret);
};

/* How listings are printed. */
struct table_style {
	bool json, noheadings, raw, color;
	bool bytes;	     /* sizes without units */
	const char *columns; /* -o, or NULL */
};

struct table;

/*
 * @name: of the listing, in JSON
 * @style, @messages: must outlive the table
 * -EINVAL, reported: -o has an unknown column; -ENOMEM.
 */
int table_new(const char *name, const struct column *columns, const struct table_style *style,
	      struct messages *messages, struct table **ret);
void table_free(struct table *t);
/* Add COL_EXTRA columns to what is shown, unless -o was given. */
void table_show(struct table *t, unsigned int flag);
/* The row is not used after the call. -EIO: stdout can't be written, which table_end() reports. */
int table_row(struct table *t, const void *row);
/* Has a value that was shown not been known? */
bool table_has_unknown(const struct table *t);
/*
 * Another list of the same listing begins: its rows have these columns, always the default ones and those with a flag
 * of @more; in JSON it is another array of the same object.
 */
int table_next(struct table *t, const char *name, const struct column *columns, unsigned int more);
/* Print the remaining rows; the next row begins another listing. -EIO, reported: stdout can't be written. */
int table_end(struct table *t);

/* For --list-columns. */
void table_list_columns(const struct column *columns);

#endif
