/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file of metrics for the textfile collector of Prometheus' node_exporter, replaced as a whole each time. */
#ifndef CMD_METRICS_FILE_H
#define CMD_METRICS_FILE_H

#include <stdio.h>

#include "cmd/messages.h"

struct metrics_file {
	const char *path;
	char *temporary; /* the file that replaces it */
	bool failed;	 /* said already */
};

/* -ENOMEM, or what is there is not a regular file; reported. @path: must outlive it */
int metrics_file_init(struct metrics_file *m, const char *path, struct messages *messages);
void metrics_file_free(struct metrics_file *m);

/* A reader sees the old file or the new one, never a part. */
int metrics_file_write(struct metrics_file *m, void (*put)(FILE *f, void *data), void *data);
/* The same; a failure is reported once, since a full disk may have room again. */
void metrics_file_replace(struct metrics_file *m, void (*put)(FILE *f, void *data), void *data,
			  struct messages *messages);

/* ---- what is in it ---- */

void metrics_family(FILE *f, const char *name, const char *type, const char *help);
/* A value of a label, escaped. */
void metrics_label(FILE *f, const char *raw);

#endif
