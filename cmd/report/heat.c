// SPDX-License-Identifier: GPL-2.0-or-later
/* Faults by time and address: a grid for each of the mappings with most faults. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/report/heat.h"

/* No page is smaller. */
#define PAGE 4096
#define MIN_ROWS 4

/* ---- axes ---- */

static int by_faults(const void *a, const void *b)
{
	const struct tally *x = *(const struct tally *const *)a, *y = *(const struct tally *const *)b;

	return x->faults == y->faults ? (x > y) - (x < y) : x->faults < y->faults ? 1 : -1;
}

static int by_address(const void *a, const void *b)
{
	const struct heat_band *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static uint64_t pages_of(const struct heat_band *b)
{
	return (b->end / PAGE - b->start / PAGE) ?: 1;
}

static struct heat_band band_of(const struct tally *g)
{
	uint64_t end = g->highest / PAGE * PAGE;

	return (struct heat_band){ .mapping = g,
				   .start = g->lowest / PAGE * PAGE,
				   .end = end <= UINT64_MAX - PAGE ? end + PAGE : UINT64_MAX };
}

/* Large mappings get more rows, but not in proportion: the small ones would be lost. */
static void share_rows(struct heat *h, unsigned int rows)
{
	double sum = 0;

	for (unsigned int i = 0; i < h->nr_bands; i++)
		sum += sqrt((double)pages_of(&h->bands[i]));
	for (unsigned int i = 0; i < h->nr_bands; i++) {
		struct heat_band *b = &h->bands[i];
		uint64_t a_row, pages = pages_of(b), nr = (uint64_t)(rows * sqrt((double)pages) / sum);

		nr = nr < MIN_ROWS ? MIN_ROWS : nr;
		nr = nr > pages ? pages : nr;
		a_row = (pages - 1) / nr + 1;
		b->row_bytes = a_row * PAGE;
		b->nr_rows = (unsigned int)((pages - 1) / a_row) + 1;
		b->row = h->nr_rows;
		h->nr_rows += b->nr_rows;
	}
}

static int choose_bands(struct heat *h, const struct tallies *mappings, unsigned int rows)
{
	const struct tally **list;
	size_t nr = tallies_longest(mappings, SIZE_MAX, &list);

	if (!list)
		return -ENOMEM;
	qsort(list, nr, sizeof(struct tally *), by_faults);
	h->nr_mappings = nr;
	h->nr_bands = nr < MAX_BANDS ? (unsigned int)nr : MAX_BANDS;
	for (unsigned int i = 0; i < h->nr_bands; i++)
		h->bands[i] = band_of(list[i]);
	free(list);
	qsort(h->bands, h->nr_bands, sizeof(*h->bands), by_address);
	share_rows(h, rows);
	return 0;
}

int heat_init(struct heat *h, const struct digest *d, unsigned int columns, unsigned int rows)
{
	uint64_t len = d->first_ns <= d->last_ns ? d->last_ns - d->first_ns + 1 : 1;
	int err;

	*h = (struct heat){ .recording = d->recording, .nr_columns = columns };
	h->from_ns = d->first_ns <= d->last_ns ? d->first_ns : 0;
	h->column_ns = (len + columns - 1) / columns;
	err = choose_bands(h, &d->mappings, rows);
	if (err < 0)
		return err;
	h->cells = calloc((size_t)columns * (h->nr_rows + 1), sizeof(*h->cells));
	h->columns = calloc(columns, sizeof(*h->columns));
	return h->cells && h->columns ? 0 : -ENOMEM;
}

void heat_free(struct heat *h)
{
	free(h->cells);
	free(h->columns);
}

/* ---- faults ---- */

static const struct heat_band *find_band(const struct heat *h, const struct uffdctl_fault *f)
{
	pid_t pid = f->target_pid ?: f->pid;

	for (unsigned int i = 0; i < h->nr_bands; i++) {
		const struct heat_band *b = &h->bands[i];
		const char *name = b->mapping->key.text;

		if (f->addr >= b->start && f->addr < b->end && b->mapping->key.pid == pid &&
		    (name && f->name ? !strcmp(name, f->name) : name == f->name))
			return b;
	}
	return NULL;
}

static void add_to_column(struct heat_column *c, const struct uffdctl_fault *f)
{
	c->faults++;
	if (f->wait_ns == UFFDCTL_UNKNOWN)
		return;
	c->buckets[uffdctl_bucket(f->wait_ns)]++;
	c->max_wait_ns = f->wait_ns > c->max_wait_ns ? f->wait_ns : c->max_wait_ns;
}

void heat_add(void *data, const struct uffdctl_fault *f, const char *symbol)
{
	struct heat *h = data;
	uint64_t at = recording_time(h->recording, f), column = at > h->from_ns ? (at - h->from_ns) / h->column_ns : 0;
	const struct heat_band *b = find_band(h, f);
	struct heat_cell *cell;
	uint64_t row;

	(void)symbol;
	/* The file may have grown since the first reading. */
	if (column >= h->nr_columns)
		return;
	add_to_column(&h->columns[column], f);
	if (!b) {
		h->left_out++;
		return;
	}
	row = b->row + (f->addr - b->start) / b->row_bytes;
	cell = &h->cells[row * h->nr_columns + column];
	cell->faults++;
	if (f->wait_ns != UFFDCTL_UNKNOWN && f->wait_ns > cell->max_wait_ns)
		cell->max_wait_ns = f->wait_ns;
}

/* ---- what it shows ---- */

const struct heat_cell *heat_cell(const struct heat *h, unsigned int column, unsigned int row)
{
	return &h->cells[(size_t)row * h->nr_columns + column];
}

uint32_t heat_most(const struct heat *h)
{
	uint32_t most = 0;

	for (size_t i = 0; i < (size_t)h->nr_rows * h->nr_columns; i++)
		most = h->cells[i].faults > most ? h->cells[i].faults : most;
	return most;
}

uint64_t heat_percentile(const struct heat_column *c, double percent)
{
	uint64_t buckets[UFFDCTL_NR_BUCKETS];

	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++)
		buckets[i] = c->buckets[i];
	return uffdctl_percentile_ns(buckets, c->max_wait_ns, percent);
}
