/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Columns that several listings have. */
#ifndef CMD_COLUMNS_H
#define CMD_COLUMNS_H

#include "cmd/table.h"
#include "lib/uffdctl.h"

/* A row that is a range of a process begins with this. */
struct range_row {
	pid_t pid;
	struct uffdctl_range range;
};

void range_pid(const void *row, struct cell *ret);
void range_start(const void *row, struct cell *ret);
void range_end(const void *row, struct cell *ret);

/* clang-format off */
#define RANGE_COLUMNS \
	{ "PID", "process", COL_RIGHT, range_pid }, \
	{ "START", "first address", COL_RIGHT, range_start }, \
	{ "END", "address after the last byte", COL_RIGHT, range_end }
/* clang-format on */

/* Set PID:FD of the holders of a userfaultfd in the list. */
void cell_holders(struct cell *c, const struct uffdctl_list *list, uint32_t ctx);

#endif
