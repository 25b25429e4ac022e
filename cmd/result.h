/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows and columns of the results for the parts of a range. */
#ifndef CMD_RESULT_H
#define CMD_RESULT_H

#include "cmd/columns.h"

struct result_row {
	struct range_row place;
	const struct uffdctl_result *result;
	int fd; /* number of the userfaultfd's descriptor in its holder; -1: there is none */
	bool dry_run;
};

static inline const struct uffdctl_result *result_of(const void *row)
{
	return ((const struct result_row *)row)->result;
}

void result_error(const void *row, struct cell *ret);
void result_dry_run(const void *row, struct cell *ret);

/* clang-format off */
#define DRY_RUN_COLUMN \
	{ "DRY_RUN", "yes: this was a dry run, and nothing was changed", COL_HIDDEN, result_dry_run }
/* clang-format on */

/* Sizes in bytes. */
void result_mapped(const void *row, struct cell *ret);
void result_already(const void *row, struct cell *ret);
void result_absent(const void *row, struct cell *ret);
void result_filled(const void *row, struct cell *ret);
void result_elsewhere(const void *row, struct cell *ret);

#endif
