// SPDX-License-Identifier: GPL-2.0-or-later
/* Columns that several listings have. */
#include "cmd/columns.h"

void range_pid(const void *row, struct cell *ret)
{
	cell_pid(ret, ((const struct range_row *)row)->pid);
}

void range_start(const void *row, struct cell *ret)
{
	cell_address(ret, ((const struct range_row *)row)->range.start);
}

void range_end(const void *row, struct cell *ret)
{
	cell_address(ret, ((const struct range_row *)row)->range.end);
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
