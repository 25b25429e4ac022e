/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults by time and address: a grid for each of the mappings with most faults. */
#ifndef CMD_REPORT_HEAT_H
#define CMD_REPORT_HEAT_H

#include "cmd/report/digest.h"

/* A part of the address axis: what a mapping had faults in. */
struct heat_band {
	const struct tally *mapping;
	uint64_t start, end;	   /* addresses */
	uint64_t row_bytes;	   /* of a row; a whole number of pages */
	unsigned int row, nr_rows; /* its first row in the grid */
};

struct heat_cell {
	uint32_t faults;
	uint64_t max_wait_ns;
};

/* The waits that began in the time of a column. */
struct heat_column {
	uint64_t faults, max_wait_ns;
	uint32_t buckets[UFFDCTL_NR_BUCKETS];
};

#define MAX_BANDS 24

struct heat {
	const struct recording *recording;
	struct heat_band bands[MAX_BANDS];
	unsigned int nr_bands, nr_rows, nr_columns;
	uint64_t from_ns, column_ns;
	struct heat_cell *cells; /* rows, from the lowest address of the first band on */
	struct heat_column *columns;
	uint64_t left_out;    /* faults in other mappings */
	uint64_t nr_mappings; /* with faults */
};

/* The axes, from what the first reading found. -ENOMEM */
int heat_init(struct heat *h, const struct digest *d, unsigned int columns, unsigned int rows);
/* For recording_read(); data is a struct heat. */
void heat_add(void *data, const struct uffdctl_fault *f, const char *symbol);
void heat_free(struct heat *h);

const struct heat_cell *heat_cell(const struct heat *h, unsigned int column, unsigned int row);
uint32_t heat_most(const struct heat *h);
/* A percentile of the waits of a column; UFFDCTL_UNKNOWN. */
uint64_t heat_percentile(const struct heat_column *c, double percent);

#endif
