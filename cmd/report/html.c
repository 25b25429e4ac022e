// SPDX-License-Identifier: GPL-2.0-or-later
/* A report as a page for a browser: page.html, and the data that its script shows. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/json.h"
#include "cmd/report/picture.h"

/* The page as it is, up to PAGE_MARK and after it. */
__asm__(".pushsection .rodata\n"
	"report_page: .incbin \"cmd/report/page.html\"\n"
	".byte 0\n"
	".popsection\n");
extern const char report_page[] __attribute__((visibility("hidden")));

#define PAGE_MARK "@DATA@"

/* Names are hostile: nothing in them may end the script element that holds the data. */
static void put_data(json_object *o)
{
	for (const char *p = json_text_of(o); *p; p++) {
		if (*p == '<' || *p == '>' || *p == '&')
			printf("\\u%04x", (unsigned int)*p);
		else
			putchar(*p);
	}
	json_object_put(o);
}

static void add_number(json_object *array, uint64_t n)
{
	json_object_array_add(array, n == UFFDCTL_UNKNOWN ? NULL : json_object_new_uint64(n));
}

static json_object *band_json(const struct heat_band *b)
{
	json_object *o = json_object_new_object();

	json_text(o, "name", b->mapping->key.text);
	json_pid(o, "pid", b->mapping->key.pid);
	json_number(o, "faults", b->mapping->faults);
	json_address(o, "start", b->start);
	json_address(o, "end", b->end);
	json_number(o, "row_bytes", b->row_bytes);
	json_number(o, "row", b->row);
	json_number(o, "rows", b->nr_rows);
	return o;
}

/* Of each cell with faults: row, column, faults, longest wait. */
static json_object *cells_json(const struct heat *h)
{
	json_object *cells = json_object_new_array();

	for (unsigned int row = 0; row < h->nr_rows; row++) {
		for (unsigned int column = 0; column < h->nr_columns; column++) {
			const struct heat_cell *c = heat_cell(h, column, row);

			if (!c->faults)
				continue;
			add_number(cells, row);
			add_number(cells, column);
			add_number(cells, c->faults);
			add_number(cells, c->max_wait_ns);
		}
	}
	return cells;
}

/* Of each column: faults, median, 99 %, longest wait. */
static json_object *columns_json(const struct heat *h)
{
	json_object *columns = json_object_new_array();

	for (unsigned int i = 0; i < h->nr_columns; i++) {
		const struct heat_column *c = &h->columns[i];

		add_number(columns, c->faults);
		add_number(columns, heat_percentile(c, 50));
		add_number(columns, heat_percentile(c, 99));
		add_number(columns, heat_percentile(c, 100));
	}
	return columns;
}

static json_object *heat_json(const struct heat *h)
{
	json_object *o = json_object_new_object(), *bands = json_object_new_array();

	json_number(o, "from_ns", h->from_ns);
	json_number(o, "column_ns", h->column_ns);
	json_number(o, "columns", h->nr_columns);
	json_number(o, "rows", h->nr_rows);
	json_number(o, "left_out", h->left_out);
	for (unsigned int i = 0; i < h->nr_bands; i++)
		json_object_array_add(bands, band_json(&h->bands[i]));
	json_object_object_add(o, "bands", bands);
	json_object_object_add(o, "cells", cells_json(h));
	json_object_object_add(o, "waits", columns_json(h));
	return o;
}

static int put_page(const struct report *r, struct digest *d, const struct heat *h)
{
	const char *mark = strstr(report_page, PAGE_MARK);
	json_object *o = json_object_new_object();

	json_object_object_add(o, "report", report_object(r, d));
	json_object_object_add(o, "heat", heat_json(h));
	fwrite(report_page, 1, (size_t)(mark - report_page), stdout);
	put_data(o);
	fputs(mark + strlen(PAGE_MARK), stdout);
	return 0;
}

int report_html(const struct report *r)
{
	return picture_make(r, 600, 256, put_page);
}
