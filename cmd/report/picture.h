/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the forms of the heat map share. */
#ifndef CMD_REPORT_PICTURE_H
#define CMD_REPORT_PICTURE_H

#include "cmd/report/heat.h"
#include "cmd/report/report.h"

/*
 * Read the recording twice, for the axes and for the cells, and print it.
 * @columns, @rows: without --cells
 */
int picture_make(const struct report *r, unsigned int columns, unsigned int rows,
		 int (*put)(const struct report *r, struct digest *d, const struct heat *h));

/* A name from the recording, escaped; "-" if there is none. */
void picture_put_name(const char *raw);

#endif
