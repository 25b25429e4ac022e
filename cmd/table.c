// SPDX-License-Identifier: GPL-2.0-or-later
/* One table of columns makes the listing, its JSON, -o and --list-columns. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>
#include <libsmartcols.h>

#include "cmd/table.h"
#include "cmd/wrap.h"
#include "lib/cleanup.h"

/* A listing is printed in portions of this many rows, so that memory stays limited. */
#define PORTION 512
/* What numbers of COL_LONG get in a long listing. */
#define LONG_WIDTH 12
#define MAX_COLUMNS 48

struct table {
	const char *name; /* of the list that is printed now, and its columns */
	const struct column *columns;
	const char *first_name; /* of the first list of a listing */
	const struct column *first_columns;
	const struct table_style *style;
	struct messages *messages;
	unsigned int more; /* table_show() */
	unsigned int shown[MAX_COLUMNS];
	size_t nr_shown;
	size_t widths[MAX_COLUMNS]; /* column widths of the printed rows: later portions keep them */
	struct libscols_table *scols;
	size_t nr_in_portion, nr_rows;
	struct cell cell; /* its memory is reused for all cells */
	bool to_terminal;
	bool has_unknown;
};

/* Characters: all but the first byte of each are 10xxxxxx. */
static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static struct cell *get_cell(struct table *t, const struct column *col, const void *row)
{
	cell_clear(&t->cell, col->name);
	col->get(row, &t->cell);
	t->has_unknown |= t->cell.type == CELL_NULL;
	return &t->cell;
}

/* ---- columns ---- */

static void json_name(const struct column *col, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s", col->name, col->flags & COL_NS ? "_ns" : "");
	for (char *p = buf; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p;
}

static const struct column *find_column(const struct column *columns, const char *name)
{
	for (const struct column *c = columns; c->name; c++)
		if (!strcasecmp(c->name, name))
			return c;
	return NULL;
}

static void show_column(struct table *t, const struct column *col)
{
	unsigned int i = col - t->columns;

	for (size_t k = 0; k < t->nr_shown; k++)
		if (t->shown[k] == i)
			return;
	if (t->nr_shown < MAX_COLUMNS)
		t->shown[t->nr_shown++] = i;
}

/* The default columns, and those with a flag of @more. */
static void show_usual(struct table *t, unsigned int more)
{
	unsigned int without = t->style->json ? COL_EXTRA : COL_EXTRA | COL_HIDDEN;

	for (const struct column *c = t->columns; c->name; c++)
		if (c->flags & more || !(c->flags & without))
			show_column(t, c);
}

static int show_chosen(struct table *t, const char *list)
{
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *name;

	if (!copy)
		return -ENOMEM;
	/* -o +COL adds to the default columns, as in util-linux. */
	if (*rest == '+') {
		show_usual(t, 0);
		rest++;
	}
	while ((name = strsep(&rest, ","))) {
		const struct column *c = find_column(t->columns, name);

		if (!c) {
			error(t->messages, "%s: no such column: see --list-columns", name);
			return -EINVAL;
		}
		show_column(t, c);
	}
	return 0;
}

void table_list_columns(const struct column *columns)
{
	size_t width = 0;

	for (const struct column *c = columns; c->name; c++)
		width = strlen(c->name) > width ? strlen(c->name) : width;
	for (const struct column *c = columns; c->name; c++)
		printf("%-*s  %s\n", (int)width, c->name, c->help);
}

/* ---- tables ---- */

static void begin_list(struct table *t, const char *name, const struct column *columns)
{
	t->name = name;
	t->columns = columns;
	t->nr_shown = 0;
	t->nr_rows = 0;
	memset(t->widths, 0, sizeof(t->widths));
}

static int begin_listing(struct table *t)
{
	begin_list(t, t->first_name, t->first_columns);
	if (t->style->columns)
		return show_chosen(t, t->style->columns);
	show_usual(t, t->more);
	return 0;
}

int table_new(const char *name, const struct column *columns, const struct table_style *style,
	      struct messages *messages, struct table **ret)
{
	struct table *t = calloc(1, sizeof(*t));
	int r = 0;

	if (!t)
		return -ENOMEM;
	*t = (struct table){ .first_name = name, .first_columns = columns, .style = style, .messages = messages };
	t->to_terminal = isatty(STDOUT_FILENO);
	r = begin_listing(t);
	if (r < 0) {
		free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	scols_unref_table(t->scols);
	cell_free(&t->cell);
	free(t);
}

void table_show(struct table *t, unsigned int flag)
{
	if (t->style->columns)
		return;
	/* Keep the order of the table: the wide column stays last. */
	t->more = flag;
	t->nr_shown = 0;
	show_usual(t, flag);
}

static int begin_portion(struct table *t)
{
	t->nr_in_portion = 0;
	t->scols = scols_new_table();
	if (!t->scols)
		return -ENOMEM;
	scols_table_enable_noheadings(t->scols, t->style->noheadings || t->nr_rows > 0);
	scols_table_enable_raw(t->scols, t->style->raw);
	scols_table_enable_colors(t->scols, t->style->color);
	/* Names are escaped already, or will be (--raw). */
	scols_table_enable_noencoding(t->scols, true);
	for (size_t i = 0; i < t->nr_shown; i++) {
		const struct column *col = &t->columns[t->shown[i]];
		int flags = (col->flags & COL_RIGHT ? SCOLS_FL_RIGHT : 0) |
			    (col->flags & COL_WIDE ? SCOLS_FL_TRUNC : 0) | (col->flags & COL_WRAP ? SCOLS_FL_WRAP : 0);
		struct libscols_column *c = scols_table_new_column(t->scols, col->name, t->widths[i], flags);

		if (!c)
			return -ENOMEM;
		if (col->flags & COL_WRAP)
			scols_column_set_wrapfunc(c, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
	}
	return 0;
}

/* Later rows may have larger numbers than the first ones, which determine the widths. */
static void widen_long_columns(struct table *t)
{
	for (size_t i = 0; i < t->nr_shown; i++) {
		if (!(t->columns[t->shown[i]].flags & COL_LONG) || t->widths[i] >= LONG_WIDTH)
			continue;
		t->widths[i] = LONG_WIDTH;
		scols_column_set_whint(scols_table_get_column(t->scols, i), LONG_WIDTH);
	}
}

static int print_portion(struct table *t)
{
	bool has_heading = !t->nr_rows && !t->style->noheadings;
	int r;

	if (!t->nr_rows && t->nr_in_portion == PORTION && !t->style->raw)
		widen_long_columns(t);
	r = t->nr_in_portion || has_heading ? scols_print_table(t->scols) : 0;
	scols_unref_table(t->scols);
	t->scols = NULL;
	t->nr_rows += t->nr_in_portion;
	return r < 0 || ferror(stdout) ? -EIO : 0;
}

static void put_json(json_object *o)
{
	fputs(json_object_to_json_string_ext(o, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE), stdout);
}

static void open_json(const struct table *t, const char *rest)
{
	printf("%s   \"%s\": [%s", t->columns == t->first_columns ? "{\n" : "", t->name, rest);
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
	if (t->nr_rows)
		fputs(",\n      ", stdout);
	else
		open_json(t, "\n      ");
	put_json(o);
	json_object_put(o);
	t->nr_rows++;
	return ferror(stdout) ? -EIO : 0;
}

/* The columns that are wrapped share what the others, which are narrow, leave of a terminal's line. */
#define NARROW_WIDTH 30
#define LEAST_WRAP_WIDTH 20

static size_t wrap_width(const struct table *t)
{
	size_t width = scols_table_get_termwidth(t->scols), nr = 1;

	for (size_t i = 0; i < t->nr_shown; i++)
		nr += (t->columns[t->shown[i]].flags & COL_WRAP) != 0;
	nr -= nr > 1;
	width = width > NARROW_WIDTH ? (width - NARROW_WIDTH) / nr : 0;
	return width > LEAST_WRAP_WIDTH ? width : LEAST_WRAP_WIDTH;
}

static int set_cell(struct table *t, struct libscols_line *line, size_t i, const char *s)
{
	_cleanup_free_ char *wrapped = NULL;

	if (!(t->columns[t->shown[i]].flags & COL_WRAP) || !t->to_terminal || t->style->raw)
		return scols_line_set_data(line, i, s);
	wrapped = wrap_words(s, wrap_width(t));
	return wrapped ? scols_line_set_data(line, i, wrapped) : -ENOMEM;
}

static int scols_cell(struct table *t, struct libscols_line *line, size_t i, const void *row)
{
	const struct column *col = &t->columns[t->shown[i]];
	struct cell *c = get_cell(t, col, row);
	const char *s = cell_string(c, t->style->raw, t->style->bytes);

	if (c->failed || !s || set_cell(t, line, i, s) < 0)
		return -ENOMEM;
	if (c->alert && c->type != CELL_NULL && t->style->color)
		scols_cell_set_color(scols_line_get_cell(line, i), "red");
	if (width_of(s) > t->widths[i] && !(col->flags & COL_WIDE && t->to_terminal))
		t->widths[i] = width_of(s);
	return 0;
}

static void put_blanks(size_t nr)
{
	while (nr--)
		putc_unlocked(' ', stdout);
}

static int plain_cell(struct table *t, size_t i, const void *row)
{
	const struct column *col = &t->columns[t->shown[i]];
	struct cell *c = get_cell(t, col, row);
	const char *s = cell_string(c, false, t->style->bytes);
	size_t heading = strlen(col->name), width = t->widths[i] > heading ? t->widths[i] : heading, len;

	if (c->failed || !s)
		return -ENOMEM;
	len = width_of(s);
	if (col->flags & COL_RIGHT && len < width)
		put_blanks(width - len);
	fputs_unlocked(s, stdout);
	if (!(col->flags & COL_RIGHT) && len < width && i + 1 < t->nr_shown)
		put_blanks(width - len);
	putc_unlocked(i + 1 < t->nr_shown ? ' ' : '\n', stdout);
	return 0;
}

/*
 * The first portion has shown how wide the columns are: what follows needs libsmartcols no more, which looks at each
 * character several times, unless lines are to fit into a terminal.
 */
static int plain_row(struct table *t, const void *row)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < t->nr_shown; i++)
		r = plain_cell(t, i, row);
	t->nr_rows++;
	return r;
}

static int scols_row(struct table *t, const void *row)
{
	struct libscols_line *line;
	int r = t->scols ? 0 : begin_portion(t);

	if (r < 0)
		return r;
	line = scols_table_new_line(t->scols, NULL);
	if (!line)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < t->nr_shown; i++)
		r = scols_cell(t, line, i, row);
	if (r < 0)
		return r;
	t->nr_in_portion++;
	return t->nr_in_portion < PORTION ? 0 : print_portion(t);
}

int table_row(struct table *t, const void *row)
{
	if (t->style->json)
		return json_row(t, row);
	if (t->nr_rows && !t->to_terminal && !t->style->raw && !t->style->color)
		return plain_row(t, row);
	return scols_row(t, row);
}

bool table_has_unknown(const struct table *t)
{
	return t->has_unknown;
}

static void end_json(struct table *t)
{
	json_object *errors = messages_take_errors(t->messages);
	size_t nr = errors ? json_object_array_length(errors) : 0;

	if (!t->nr_rows)
		open_json(t, "");
	fputs("\n   ],\n   \"errors\": [", stdout);
	for (size_t i = 0; i < nr; i++) {
		fputs(i ? ",\n      " : "\n      ", stdout);
		put_json(json_object_array_get_idx(errors, i));
	}
	puts("\n   ]\n}");
	json_object_put(errors);
}

static int end_scols(struct table *t)
{
	int r = !t->scols && !t->nr_rows ? begin_portion(t) : 0;

	return r >= 0 && t->scols ? print_portion(t) : r;
}

int table_next(struct table *t, const char *name, const struct column *columns, unsigned int more)
{
	int r = 0;

	if (t->style->json) {
		if (!t->nr_rows)
			open_json(t, "");
		fputs("\n   ],\n", stdout);
	} else {
		r = end_scols(t);
		putchar('\n');
	}
	begin_list(t, name, columns);
	show_usual(t, more);
	return r;
}

int table_end(struct table *t)
{
	int r = 0;

	if (t->style->json)
		end_json(t);
	else
		r = end_scols(t);
	if (r >= 0)
		r = begin_listing(t);
	return stdout_failed(t->messages) ? -EIO : r;
}
