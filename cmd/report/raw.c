// SPDX-License-Identifier: GPL-2.0-or-later
/* The heat map as numbers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/report/heat.h"
#include "cmd/report/picture.h"

/* A name in a comment: a gnuplot script reads lines. Escaped, it has no newline. */
static void put_band(const struct heat *h, const struct heat_band *b)
{
	printf("# %" PRIx64 "-%" PRIx64 " of process %d, %" PRIu64 " bytes a cell: ", b->start, b->end,
	       b->mapping->key.pid, b->row_bytes);
	picture_put_name(b->mapping->key.text);
	putchar('\n');
	for (unsigned int row = b->row; row < b->row + b->nr_rows; row++) {
		for (unsigned int column = 0; column < h->nr_columns; column++) {
			const struct heat_cell *c = heat_cell(h, column, row);

			if (c->faults)
				printf("%.9f %" PRIu64 " %" PRIu32 "\n",
				       (double)(h->from_ns + column * h->column_ns) / 1e9,
				       b->start + (row - b->row) * b->row_bytes, c->faults);
		}
	}
	/* gnuplot's "index" takes each mapping by itself. */
	fputs("\n\n", stdout);
}

static int put_all(const struct report *r, struct digest *d, const struct heat *h)
{
	(void)r;
	(void)d;
	printf("# seconds since watching began, address, faults; a cell is %.9f s\n", (double)h->column_ns / 1e9);
	for (unsigned int i = 0; i < h->nr_bands; i++)
		put_band(h, &h->bands[i]);
	return 0;
}

int report_raw(const struct report *r)
{
	return picture_make(r, 400, 256, put_all);
}
