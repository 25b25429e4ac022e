/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One value of a listing, as text and in JSON. */
#ifndef CMD_CELL_H
#define CMD_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct json_object;

enum cell_type {
	CELL_NULL, /* not known: "-", JSON null */
	CELL_NUMBER,
	CELL_BOOL,     /* yes or no; JSON true or false */
	CELL_SIZE,     /* bytes: 1.5G, exact with -b and in JSON */
	CELL_DURATION, /* nanoseconds: 1.5s, exact in JSON */
	CELL_ADDRESS,  /* 7f…; JSON "0x7f…" */
	CELL_TEXT,     /* from a target: escaped when printed */
	CELL_LIST,     /* words in an array */
};

struct cell {
	const char *column; /* its name, for a function that fills several columns */
	enum cell_type type;
	uint64_t number;
	const char *text;
	char *words; /* each ends with a NUL; the memory is reused for the next cell */
	size_t nr_words, words_len, words_alloc;
	char *out; /* cell_string()'s, reused likewise */
	size_t out_alloc;
	bool failed; /* out of memory */
	bool alert;  /* red where there is colour */
};

/* Empties it for a column; its memory is kept. */
void cell_clear(struct cell *c, const char *column);
void cell_free(struct cell *c);

void cell_number(struct cell *c, uint64_t n);	 /* UFFDCTL_UNKNOWN is null */
void cell_bool(struct cell *c, uint64_t n);	 /* likewise */
void cell_size(struct cell *c, uint64_t n);	 /* likewise */
void cell_duration(struct cell *c, uint64_t ns); /* likewise */
void cell_pid(struct cell *c, pid_t pid);	 /* 0 is null */
void cell_address(struct cell *c, uint64_t addr);
void cell_text(struct cell *c, const char *text); /* NULL is null */
void cell_list(struct cell *c);			  /* an empty one */
void cell_word(struct cell *c, const char *word);
void cell_word_of(struct cell *c, const char *text, size_t len); /* the first len bytes */
void cell_words(struct cell *c, const char *text);		 /* several, with a blank between each two */
void cell_wordf(struct cell *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cell_bits(struct cell *c, uint64_t bits, const char *(*name)(unsigned int bit)); /* UFFDCTL_UNKNOWN is null */

/*
 * The text of a cell, valid until the next call or until its text is; NULL: out of memory.
 * @raw: never empty
 * @exact: sizes in bytes
 */
const char *cell_string(struct cell *c, bool raw, bool exact);
struct json_object *cell_json(const struct cell *c);

#endif
