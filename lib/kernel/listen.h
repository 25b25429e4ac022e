/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A Unix socket in the file system that others connect to (unix(7)). */
#ifndef UFFDCTL_LISTEN_H
#define UFFDCTL_LISTEN_H

#include <sys/types.h>

struct listen_place {
	dev_t dev;
	ino_t ino;
};

/*
 * Only the own user and root may connect. A socket that nobody listens on is replaced.
 * @ret: out, what has been made, for listen_remove()
 * Returns a descriptor that does not block. -EADDRINUSE: somebody listens there; -EEXIST: path is no socket;
 * -ENAMETOOLONG; others of bind(2).
 */
int listen_open(const char *path, struct listen_place *ret);
/* -EAGAIN: nobody has connected. */
int listen_accept(int socket);
/* Remove the socket, unless there is another one now. */
void listen_remove(const char *path, const struct listen_place *place);

#endif
