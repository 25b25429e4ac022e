/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image on a server of the protocol NBD, read through libnbd. */
#ifndef UFFDCTL_NBD_H
#define UFFDCTL_NBD_H

#include "lib/context.h"

struct nbd_image;

/* Such as nbd://host/export, nbds://… and nbd+unix:///export?socket=… */
bool nbd_is_uri(const char *text);

/*
 * Connect. Errors are logged; -ENOTSUP: libnbd is not there.
 * @context: of metadata, for nbd_image_extents(), such as "qemu:dirty-bitmap:NAME"; stays the caller's; NULL: none
 * @stop, @data: called some ten times a second while the server does not answer; non-zero: -EINTR. May be NULL.
 */
int nbd_image_open(struct uffdctl *u, const char *uri, const char *context, int (*stop)(void *data), void *data,
		   struct nbd_image **ret);
void nbd_image_close(struct nbd_image *n);
uint64_t nbd_image_size(const struct nbd_image *n);

enum nbd_read_flags {
	NBD_BACKGROUND = 1 << 0, /* while all connections are in use, those without this flag come first */
};

/*
 * May be called by several threads: each has a connection of its own, as far as the server takes them. A connection
 * that has broken is made anew by the next call.
 * @stop: as above, for this call
 * -ENODATA: beyond the end; -EINTR; -ESTALE: the server has an image of another size now; the server's error; what else
 * fails is -EIO or -ENOTCONN
 */
int nbd_image_read(struct nbd_image *n, uint64_t at, void *buf, uint64_t len, unsigned int flags,
		   int (*stop)(void *data), void *data);

/*
 * What the server says of all of it in the context of metadata. Errors are logged, but for -EINTR. -ENOENT: it has no
 * such context.
 * @fn: called for each extent, in order; the last one may end behind the image
 */
typedef void (*nbd_extent_fn)(void *data, uint64_t at, uint64_t len, uint32_t flags);
int nbd_image_extents(struct nbd_image *n, nbd_extent_fn fn, void *fn_data, int (*stop)(void *data), void *data);

#endif
