// SPDX-License-Identifier: GPL-2.0-or-later
/* One value of a listing, as text and in JSON. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "cmd/cell.h"
#include "cmd/duration.h"
#include "lib/cleanup.h"
#include "lib/uffdctl.h"

void cell_clear(struct cell *c, const char *column)
{
	c->column = column;
	c->type = CELL_NULL;
	c->nr_words = 0;
	c->words_len = 0;
	c->alert = false;
}

void cell_free(struct cell *c)
{
	free(c->words);
	free(c->out);
}

void cell_number(struct cell *c, uint64_t n)
{
	c->type = n == UFFDCTL_UNKNOWN ? CELL_NULL : CELL_NUMBER;
	c->number = n;
}

void cell_bool(struct cell *c, uint64_t n)
{
	c->type = n == UFFDCTL_UNKNOWN ? CELL_NULL : CELL_BOOL;
	c->number = n;
}

void cell_size(struct cell *c, uint64_t n)
{
	c->type = n == UFFDCTL_UNKNOWN ? CELL_NULL : CELL_SIZE;
	c->number = n;
}

void cell_duration(struct cell *c, uint64_t ns)
{
	c->type = ns == UFFDCTL_UNKNOWN ? CELL_NULL : CELL_DURATION;
	c->number = ns;
}

void cell_pid(struct cell *c, pid_t pid)
{
	cell_number(c, pid ? (uint64_t)pid : UFFDCTL_UNKNOWN);
}

void cell_address(struct cell *c, uint64_t addr)
{
	c->type = CELL_ADDRESS;
	c->number = addr;
}

void cell_text(struct cell *c, const char *text)
{
	c->type = text ? CELL_TEXT : CELL_NULL;
	c->text = text;
}

void cell_list(struct cell *c)
{
	c->type = CELL_LIST;
}

/* True: there is room for this many bytes. */
static bool reserve(char **buf, size_t *alloc, size_t bytes)
{
	char *p;

	if (bytes <= *alloc)
		return true;
	p = realloc(*buf, bytes * 2);
	if (!p)
		return false;
	*buf = p;
	*alloc = bytes * 2;
	return true;
}

void cell_word_of(struct cell *c, const char *text, size_t len)
{
	c->type = CELL_LIST;
	if (!reserve(&c->words, &c->words_alloc, c->words_len + len + 1)) {
		c->failed = true;
		return;
	}
	memcpy(c->words + c->words_len, text, len);
	c->words_len += len;
	c->words[c->words_len++] = '\0';
	c->nr_words++;
}

void cell_word(struct cell *c, const char *word)
{
	cell_word_of(c, word, strlen(word));
}

void cell_words(struct cell *c, const char *text)
{
	size_t len = strlen(text), from = c->words_len;

	cell_word_of(c, text, len);
	for (size_t i = from; !c->failed && i < from + len; i++)
		if (c->words[i] == ' ') {
			c->words[i] = '\0';
			c->nr_words++;
		}
}

void cell_wordf(struct cell *c, const char *fmt, ...)
{
	_cleanup_free_ char *word = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&word, fmt, ap) < 0)
		word = NULL;
	va_end(ap);
	if (word)
		cell_word(c, word);
	else
		c->failed = true;
}

static const char *next_word(const struct cell *c, const char *word)
{
	word = word ? word + strlen(word) + 1 : c->words;
	return word < c->words + c->words_len ? word : NULL;
}

void cell_bits(struct cell *c, uint64_t bits, const char *(*name)(unsigned int bit))
{
	if (bits == UFFDCTL_UNKNOWN) {
		c->type = CELL_NULL;
		return;
	}
	cell_list(c);
	for (unsigned int bit = 0; bit < 64; bit++) {
		if (!(bits >> bit & 1))
			continue;
		if (name(bit))
			cell_word(c, name(bit));
		else
			cell_wordf(c, "bit%u", bit);
	}
}

/* ---- as text ---- */

/* Enough for each number with its unit. */
#define NUMBER_SIZE 32

/* Listings have many numbers: printf(3) would take half of their time. */
static const char *number_text(char *buf, uint64_t n, unsigned int base)
{
	char *p = buf + NUMBER_SIZE - 1;

	*p = '\0';
	do
		*--p = "0123456789abcdef"[n % base];
	while (n /= base);
	return p;
}

/* 1.5G; whole numbers without a fraction. */
static const char *human_size(char *buf, uint64_t n)
{
	static const char units[] = "BKMGTPE";
	uint64_t tenths;
	int unit = 1;

	if (n < 1024) {
		snprintf(buf, NUMBER_SIZE, "%" PRIu64 "B", n);
		return buf;
	}
	for (; n >= UINT64_C(1024) * 1024; unit++)
		n /= 1024;
	tenths = n * 10 / 1024;
	if (tenths % 10)
		snprintf(buf, NUMBER_SIZE, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10, units[unit]);
	else
		snprintf(buf, NUMBER_SIZE, "%" PRIu64 "%c", tenths / 10, units[unit]);
	return buf;
}

/* Each word ends with a NUL: put commas there. */
static const char *join_words(struct cell *c)
{
	if (!reserve(&c->out, &c->out_alloc, c->words_len + 1))
		return NULL;
	for (size_t i = 0; i < c->words_len; i++)
		c->out[i] = c->words[i] ?: ',';
	c->out[c->words_len ? c->words_len - 1 : 0] = '\0';
	return c->out;
}

/* Most names need no escapes. */
static const char *escaped_text(struct cell *c)
{
	const char *p = c->text;

	while (*p >= ' ' && *p <= '~')
		p++;
	if (!*p)
		return c->text;
	free(c->out);
	c->out_alloc = 0;
	if (uffdctl_escape(c->text, &c->out) < 0)
		c->out = NULL;
	return c->out;
}

const char *cell_string(struct cell *c, bool raw, bool exact)
{
	_Static_assert(NUMBER_SIZE >= DURATION_SIZE, "room for each number");

	/* Blanks separate the fields of --raw: none may be empty. */
	if (raw && ((c->type == CELL_TEXT && !*c->text) || (c->type == CELL_LIST && !c->nr_words)))
		return "-";
	if (!reserve(&c->out, &c->out_alloc, NUMBER_SIZE))
		return NULL;
	switch (c->type) {
	case CELL_NULL:
		return "-";
	case CELL_BOOL:
		return c->number ? "yes" : "no";
	case CELL_SIZE:
		return exact ? number_text(c->out, c->number, 10) : human_size(c->out, c->number);
	case CELL_NUMBER:
		return number_text(c->out, c->number, 10);
	case CELL_DURATION:
		return duration_text(c->out, c->number, 0);
	case CELL_ADDRESS:
		return number_text(c->out, c->number, 16);
	case CELL_TEXT:
		/* libsmartcols escapes: blanks, backslashes and what is not printable. */
		return raw ? c->text : escaped_text(c);
	case CELL_LIST:
		return join_words(c);
	}
	return NULL;
}

json_object *cell_json(const struct cell *c)
{
	_cleanup_free_ char *s = NULL;
	json_object *list;

	switch (c->type) {
	case CELL_NULL:
		return NULL;
	case CELL_BOOL:
		return json_object_new_boolean(c->number != 0);
	case CELL_NUMBER:
	case CELL_SIZE:
	case CELL_DURATION:
		return json_object_new_uint64(c->number);
	case CELL_ADDRESS:
		return asprintf(&s, "0x%" PRIx64, c->number) < 0 ? NULL : json_object_new_string(s);
	case CELL_TEXT:
		return uffdctl_escape(c->text, &s) < 0 ? NULL : json_object_new_string(s);
	case CELL_LIST:
		list = json_object_new_array();
		for (const char *w = NULL; (w = next_word(c, w));)
			json_object_array_add(list, json_object_new_string(w));
		return list;
	}
	return NULL;
}
