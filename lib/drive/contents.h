/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What pages are filled with: a file, a device, or what comes out of a pipe. */
#ifndef UFFDCTL_CONTENTS_H
#define UFFDCTL_CONTENTS_H

#include "lib/context.h"

struct contents {
	int fd;		 /* one that pread(2) works on; -1: none */
	uint64_t offset; /* where they begin */
	bool ours;	 /* fd is */
};

/* What is in it has to be taken before it can be used. */
bool contents_is_pipe(int fd);

/*
 * See to it that need bytes from opts->from_offset on are there, and can be read in any order: those of a
 * pipe are taken into memory. In a dry run a pipe is left as it is.
 * -ENODATA: too short; -EOVERFLOW: beyond what a file can hold; -EINTR: stopped by opts->progress; errnos of read(2); each logged.
 */
int contents_open(struct uffdctl *u, const struct uffdctl_resolve_opts *opts, uint64_t need, struct contents *ret);
void contents_close(struct contents *c);

/*
 * @at: from the beginning of the contents
 * @done: out, bytes that were read, also where an error is returned
 */
int contents_read(const struct contents *c, uint64_t at, void *buf, uint64_t len, uint64_t *done);

#endif
