/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The contents that pages are filled with: a file, a device, data from a pipe, or a server. */
#ifndef UFFDCTL_CONTENTS_H
#define UFFDCTL_CONTENTS_H

#include "lib/context.h"

struct uffdctl_target;

struct contents {
	int fd;			 /* a descriptor on which pread(2) works; -1: none */
	uint64_t offset;	 /* where they begin */
	bool ours;		 /* fd is */
	bool zero;		 /* no fd: all bytes are 0 */
	struct nbd_image *nbd;	 /* likewise: a server has them; or NULL */
	const char *context;	 /* of a server's metadata, see nbd.h; set before they are opened; NULL: none */
	bool background;	 /* it is not urgent: others who read from the server come first */
	const int *stop;	 /* non-zero: do not wait for the server any longer; NULL: wait */
	uint64_t size;		 /* from offset on; 0: not known */
	int (*asks)(void *data); /* likewise, as stop; NULL: nobody */
	void *data;		 /* for it */
};

/* They must be read into memory before they can be used. */
bool contents_are_piped(const struct uffdctl_action_opts *opts);

/*
 * Make sure that need bytes from opts->from_offset on exist, and can be read in any order: the data of a pipe are
 * read into memory. A dry run does not read a pipe.
 * @t: whose memory they are for: when it is gone, nothing is waited for; NULL: nobody's
 * @ret: in: context; all else is 0
 * -ENODATA: too short; -EOVERFLOW: beyond the largest file offset; -ESRCH: t is gone; errnos of read(2); each is
 * logged. -EINTR, not logged: stopped by opts->progress.
 */
int contents_open(struct uffdctl *u, struct uffdctl_target *t, const struct uffdctl_action_opts *opts, uint64_t need,
		  struct contents *ret);
void contents_close(struct contents *c);

/*
 * @at: from the beginning of the contents
 * @done: out, bytes that were read, also after an error
 */
int contents_read(const struct contents *c, uint64_t at, void *buf, uint64_t len, uint64_t *done);

#endif
