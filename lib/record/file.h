/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of a recording that is being written. */
#ifndef UFFDCTL_RECORD_FILE_H
#define UFFDCTL_RECORD_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/context.h"

struct record_file {
	struct uffdctl *u;
	char *path;
	int fd;
	off_t bytes;	       /* of whole blocks */
	unsigned int nr_older; /* PATH.1 and so on, which we have made */
};

/* @older: PATH.1 and so on must not exist either */
int record_file_open(struct uffdctl *u, const char *path, bool older, struct record_file *ret);
/* All of it or nothing. Errors are logged. */
int record_file_write(struct record_file *f, const void *data, size_t len);
/* The file becomes PATH.1, and a new one begins. */
int record_file_rotate(struct record_file *f);
void record_file_close(struct record_file *f);

#endif
