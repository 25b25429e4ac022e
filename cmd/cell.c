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

void cell_word(struct cell *c, const char *word)
{
	size_t len = strlen(word) + 1;
	char *p;

	c->type = CELL_LIST;
	if (c->words_len + len > c->words_alloc) {
		p = realloc(c->words, (c->words_len + len) * 2);
		if (!p) {
			c->failed = true;
			return;
		}
		c->words = p;
		c->words_alloc = (c->words_len + len) * 2;
	}
	memcpy(c->words + c->words_len, word, len);
	c->words_len += len;
	c->nr_words++;
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

/* 1.5G; whole numbers without a fraction. */
static char *human_size(uint64_t n)
{
	static const char units[] = "BKMGTPE";
	uint64_t tenths;
	int unit = 1, len;
	char *text;

	if (n < 1024)
		return asprintf(&text, "%" PRIu64 "B", n) < 0 ? NULL : text;
	for (; n >= UINT64_C(1024) * 1024; unit++)
		n /= 1024;
	tenths = n * 10 / 1024;
	if (tenths % 10)
		len = asprintf(&text, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10, units[unit]);
	else
		len = asprintf(&text, "%" PRIu64 "%c", tenths / 10, units[unit]);
	return len < 0 ? NULL : text;
}

static char *join_words(const struct cell *c)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (const char *w = NULL; (w = next_word(c, w));)
		fprintf(f, "%s%s", w > c->words ? "," : "", w);
	return fclose(f) ? free(text), NULL : text;
}

char *cell_string(const struct cell *c, bool raw, bool exact)
{
	char duration[DURATION_SIZE];
	char *s = NULL;

	/* Blanks separate the fields of --raw: none may be empty. */
	if (raw && ((c->type == CELL_TEXT && !*c->text) || (c->type == CELL_LIST && !c->nr_words)))
		return strdup("-");
	switch (c->type) {
	case CELL_NULL:
		return strdup("-");
	case CELL_BOOL:
		return strdup(c->number ? "yes" : "no");
	case CELL_SIZE:
		if (!exact)
			return human_size(c->number);
		/* fall through */
	case CELL_NUMBER:
		return asprintf(&s, "%" PRIu64, c->number) < 0 ? NULL : s;
	case CELL_DURATION:
		return strdup(duration_text(duration, c->number, 0));
	case CELL_ADDRESS:
		return asprintf(&s, "%" PRIx64, c->number) < 0 ? NULL : s;
	case CELL_TEXT:
		return uffdctl_escape(c->text, &s) < 0 ? NULL : s;
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
