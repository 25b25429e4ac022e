// SPDX-License-Identifier: GPL-2.0-or-later
/* Rows and columns of the results for the parts of a range. */
#include "cmd/result.h"

void result_error(const void *row, struct cell *ret)
{
	cell_text(ret, result_of(row)->error_text);
	ret->alert = true;
}

void result_dry_run(const void *row, struct cell *ret)
{
	cell_bool(ret, ((const struct result_row *)row)->dry_run);
}

void result_mapped(const void *row, struct cell *ret)
{
	cell_size(ret, result_of(row)->mapped);
}

void result_already(const void *row, struct cell *ret)
{
	cell_size(ret, result_of(row)->already);
}

void result_absent(const void *row, struct cell *ret)
{
	cell_size(ret, result_of(row)->absent);
}

void result_filled(const void *row, struct cell *ret)
{
	cell_size(ret, result_of(row)->filled);
}

void result_elsewhere(const void *row, struct cell *ret)
{
	cell_size(ret, result_of(row)->elsewhere);
}
