// SPDX-License-Identifier: GPL-2.0-or-later
/* One table of columns makes the listing, its JSON, -o and --list-columns. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>
#include <libsmartcols.h>

#include "cmd/cmd.h"
#include "cmd/duration.h"
#include "cmd/table.h"

/* A listing is printed in portions of this many rows, so that memory stays bounded. */
#define PORTION 2048
#define MAX_COLUMNS 48

struct table {
	const char *name;
	const struct column *columns;
	unsigned int shown[MAX_COLUMNS];
	size_t nr_shown;
	size_t widths[MAX_COLUMNS]; /* of what was printed: later portions keep them */
	struct libscols_table *scols;
	size_t nr_pending, nr_rows;
	struct cell cell; /* large, so one for all */
};

/* ---- cells ---- */

void cell_number(struct cell *c, uint64_t n)
{
	c->type = n == UFFDCTL_UNKNOWN ? CELL_NULL : CELL_NUMBER;
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

void cell_holders(struct cell *c, const struct uffdctl_list *list, uint32_t ctx)
{
	cell_list(c);
	for (size_t i = 0; ctx && i < uffdctl_list_count(list); i++) {
		const struct uffdctl_uffd *d = uffdctl_list_get(list, i);

		if (d->ctx == ctx)
			cell_wordf(c, "%d:%d", d->pid, d->fd);
	}
}

/* 1.5G; whole numbers without a fraction. */
static char *human_size(uint64_t n)
{
	static const char units[] = "BKMGTPE";
	uint64_t tenths = n * 10;
	int unit = 0;
	char *s;

	if (n < 1024)
		return asprintf(&s, "%" PRIu64 "B", n) < 0 ? NULL : s;
	for (tenths = n; tenths >= UINT64_C(1024) * 1024; unit++)
		tenths /= 1024;
	tenths = tenths * 10 / 1024;
	unit++;
	if (tenths % 10)
		return asprintf(&s, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10, units[unit]) < 0 ? NULL : s;
	return asprintf(&s, "%" PRIu64 "%c", tenths / 10, units[unit]) < 0 ? NULL : s;
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

/* What stands in the listing; NULL only when out of memory. */
static char *cell_string(const struct cell *c)
{
	char duration[DURATION_SIZE];
	char *s = NULL;

	/* Fields of --raw stand between blanks: none may be empty. */
	if (common.raw && ((c->type == CELL_TEXT && !*c->text) || (c->type == CELL_LIST && !c->nr_words)))
		return strdup("-");
	switch (c->type) {
	case CELL_NULL:
		return strdup("-");
	case CELL_SIZE:
		if (!common.bytes)
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

static json_object *cell_json(const struct cell *c)
{
	_cleanup_free_ char *s = NULL;
	json_object *list;

	switch (c->type) {
	case CELL_NULL:
		return NULL;
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

static struct cell *get_cell(struct table *t, const struct column *col, const void *row)
{
	struct cell *c = &t->cell;

	c->type = CELL_NULL;
	c->nr_words = 0;
	c->words_len = 0;
	c->alert = false;
	col->get(row, c);
	return c;
}

/* ---- columns ---- */

static void json_name(const struct column *col, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s", col->name, col->flags & COL_NS ? "_ns" : "");
	for (char *p = buf; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p;
}

static const struct column *find_column(const struct column *columns, const char *name, size_t *ret)
{
	for (size_t i = 0; columns[i].name; i++) {
		if (strcasecmp(columns[i].name, name))
			continue;
		*ret = i;
		return &columns[i];
	}
	return NULL;
}

static void show_index(struct table *t, size_t i)
{
	for (size_t k = 0; k < t->nr_shown; k++)
		if (t->shown[k] == i)
			return;
	if (t->nr_shown < MAX_COLUMNS)
		t->shown[t->nr_shown++] = i;
}

static void show_default(struct table *t)
{
	for (size_t i = 0; t->columns[i].name; i++)
		if (!(t->columns[i].flags & (common.json ? COL_EXTRA : COL_EXTRA | COL_HIDDEN)))
			show_index(t, i);
}

static int show_chosen(struct table *t, const char *list)
{
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *name;
	size_t i;

	if (!copy)
		return -ENOMEM;
	/* -o +COL adds to the usual ones, as in util-linux. */
	if (*rest == '+') {
		show_default(t);
		rest++;
	}
	while ((name = strsep(&rest, ","))) {
		if (!find_column(t->columns, name, &i)) {
			_cleanup_free_ char *s = NULL;

			uffdctl_escape(name, &s);
			error("%s: no such column: see --list-columns", s ?: "?");
			return -EINVAL;
		}
		show_index(t, i);
	}
	return 0;
}

bool stdout_failed(void)
{
	static bool told;

	if (!fflush(stdout) && !ferror(stdout))
		return false;
	if (!told)
		error("stdout: %s", strerror(errno ?: EIO));
	told = true;
	return true;
}

int table_list_columns(const struct column *columns)
{
	size_t width = 0;

	for (const struct column *c = columns; c->name; c++)
		width = strlen(c->name) > width ? strlen(c->name) : width;
	for (const struct column *c = columns; c->name; c++)
		printf("%-*s  %s\n", (int)width, c->name, c->help);
	return stdout_failed() ? -EIO : 0;
}

/* ---- tables ---- */

static int begin_portion(struct table *t)
{
	t->scols = scols_new_table();
	if (!t->scols)
		return -ENOMEM;
	scols_table_enable_noheadings(t->scols, common.noheadings || t->nr_rows > 0);
	scols_table_enable_raw(t->scols, common.raw);
	scols_table_enable_colors(t->scols, common.color);
	for (size_t i = 0; i < t->nr_shown; i++) {
		const struct column *col = &t->columns[t->shown[i]];
		int flags = (col->flags & COL_RIGHT ? SCOLS_FL_RIGHT : 0) |
			    (col->flags & COL_WIDE ? SCOLS_FL_TRUNC : 0);
		struct libscols_column *c = scols_table_new_column(t->scols, col->name, t->widths[i], flags);

		if (!c)
			return -ENOMEM;
		/* Backslashes are ours: names are escaped already. */
		scols_column_set_safechars(c, "\\");
	}
	t->nr_pending = 0;
	return 0;
}

static int print_portion(struct table *t)
{
	int r = t->nr_pending || (!t->nr_rows && !common.noheadings) ? scols_print_table(t->scols) : 0;

	scols_unref_table(t->scols);
	t->scols = NULL;
	return r < 0 ? -EIO : 0;
}

int table_new(const char *name, const struct column *columns, struct table **ret)
{
	struct table *t = calloc(1, sizeof(*t));
	int r = 0;

	if (!t)
		return -ENOMEM;
	t->name = name;
	t->columns = columns;
	if (common.columns)
		r = show_chosen(t, common.columns);
	else
		show_default(t);
	if (r < 0) {
		free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void table_show(struct table *t, unsigned int flag)
{
	if (common.columns)
		return;
	/* In the order of the table: the wide column stays the last. */
	t->nr_shown = 0;
	for (size_t i = 0; t->columns[i].name; i++)
		if (t->columns[i].flags & flag ||
		    !(t->columns[i].flags & (common.json ? COL_EXTRA : COL_EXTRA | COL_HIDDEN)))
			show_index(t, i);
}

static int json_row(struct table *t, const void *row)
{
	json_object *o = json_object_new_object();
	char key[64];

	if (!o)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr_shown; i++) {
		const struct column *col = &t->columns[t->shown[i]];

		json_name(col, key, sizeof(key));
		json_object_object_add(o, key, cell_json(get_cell(t, col, row)));
		if (t->cell.failed) {
			json_object_put(o);
			return -ENOMEM;
		}
	}
	printf(t->nr_rows ? ",\n      " : "{\n   \"%s\": [\n      ", t->name);
	fputs(json_object_to_json_string_ext(o, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE), stdout);
	json_object_put(o);
	t->nr_rows++;
	return 0;
}

static int scols_row(struct table *t, const void *row)
{
	struct libscols_line *line;
	int r;

	if (!t->scols) {
		r = begin_portion(t);
		if (r < 0)
			return r;
	}
	line = scols_table_new_line(t->scols, NULL);
	if (!line)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr_shown; i++) {
		struct cell *c = get_cell(t, &t->columns[t->shown[i]], row);
		char *s = cell_string(c);

		/* The line owns it from here on. */
		if (c->failed || !s || scols_line_refer_data(line, i, s) < 0) {
			free(s);
			return -ENOMEM;
		}
		if (c->alert && c->type != CELL_NULL && common.color)
			scols_cell_set_color(scols_line_get_cell(line, i), "red");
		if (strlen(s) > t->widths[i] && !(t->columns[t->shown[i]].flags & COL_WIDE))
			t->widths[i] = strlen(s);
	}
	t->nr_pending++;
	if (t->nr_pending < PORTION)
		return 0;
	r = print_portion(t);
	t->nr_rows += t->nr_pending;
	return r;
}

int table_row(struct table *t, const void *row)
{
	return common.json ? json_row(t, row) : scols_row(t, row);
}

int table_close(struct table *t)
{
	int r = 0;

	if (common.json) {
		if (!t->nr_rows)
			printf("{\n   \"%s\": [", t->name);
		printf("%s   ]\n}\n", "\n");
	} else {
		if (!t->scols && !t->nr_rows)
			r = begin_portion(t);
		if (r >= 0 && t->scols)
			r = print_portion(t);
	}
	free(t->cell.words);
	free(t);
	return stdout_failed() ? -EIO : r;
}
