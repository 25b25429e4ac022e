/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One table of columns makes the listing, its JSON, -o and --list-columns. */
#ifndef CMD_TABLE_H
#define CMD_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cell_type {
	CELL_NULL, /* not known: "-", JSON null */
	CELL_NUMBER,
	CELL_SIZE,     /* bytes: 1.5G, exact with -b and in JSON */
	CELL_DURATION, /* nanoseconds: 1.5s, exact in JSON */
	CELL_ADDRESS,  /* 7f…; JSON "0x7f…" */
	CELL_TEXT,     /* from a target: escaped on the way out */
	CELL_LIST,     /* words in an array */
};

struct cell {
	enum cell_type type;
	uint64_t number;
	const char *text;
	char *words; /* each ended by a NUL; the memory is kept from cell to cell */
	size_t nr_words, words_len, words_alloc;
	bool failed; /* out of memory */
	bool alert;  /* red where there is colour */
};

void cell_number(struct cell *c, uint64_t n);	 /* UFFDCTL_UNKNOWN is null */
void cell_size(struct cell *c, uint64_t n);	 /* likewise */
void cell_duration(struct cell *c, uint64_t ns); /* likewise */
void cell_address(struct cell *c, uint64_t addr);
void cell_text(struct cell *c, const char *text); /* NULL is null */
void cell_list(struct cell *c);			  /* an empty one */
void cell_word(struct cell *c, const char *word);
void cell_wordf(struct cell *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cell_bits(struct cell *c, uint64_t bits, const char *(*name)(unsigned int bit)); /* UFFDCTL_UNKNOWN is null */

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
