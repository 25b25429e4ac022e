/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One table of columns makes the listing, its JSON, -o and --list-columns. */
#ifndef CMD_TABLE_H
#define CMD_TABLE_H

#include "cmd/cell.h"

/* PID:FD of those that hold a userfaultfd of the list. */
struct uffdctl_list;
void cell_holders(struct cell *c, const struct uffdctl_list *list, uint32_t ctx);

enum column_flags {
	COL_RIGHT = 1 << 0,
	COL_HIDDEN = 1 << 1, /* in JSON and with -o, not in the listing */
	COL_EXTRA = 1 << 2,  /* with -o only */
	COL_WIDE = 1 << 3,   /* the one that gives way on a narrow terminal */
	COL_NS = 1 << 5,     /* a duration: "_ns" in JSON */
	COL_GROUP = 1 << 4,  /* COL_EXTRA that an option of the command adds */
};

struct column {
	const char *name; /* "PENDING"; "pending" in JSON */
	const char *help;
	unsigned int flags;
	void (*get)(const void *row, struct cell *ret);
};

struct table;

/* -EINVAL: a column in -o that does not exist, reported. Settings are those of struct common. */
int table_new(const char *name, const struct column *columns, struct table **ret);
/* Add COL_EXTRA columns to what is shown, unless -o was given. */
void table_show(struct table *t, unsigned int flag);
/* The row need not outlive the call. */
int table_row(struct table *t, const void *row);
/* Prints what is left. -EIO: stdout can't be written. */
int table_close(struct table *t);

/* Flushes stdout; true, reported, if not all could be written. */
bool stdout_failed(void);

/* For --list-columns. */
int table_list_columns(const struct column *columns);

#endif
