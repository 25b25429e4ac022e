/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The peer of a socket: getpeername(2), SO_PEERCRED. */
#ifndef UFFDCTL_SOCKET_H
#define UFFDCTL_SOCKET_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#define SOCKET_TEXT_BYTES 256

/*
 * "tcp 10.0.0.1:4444", "unix /run/x" and so on, raw bytes: the address of its peer, or the path of a Unix socket if only
 * this end has one. Nothing is changed.
 * @ret_pid: out, the process that connected a Unix socket, or that listened; 0: not known
 */
void socket_describe(int fd, char *buf, size_t size, pid_t *ret_pid);

/* The address alone: "10.0.0.1:4444", "[::1]:4444", "/run/x", "@name"; "" if it has none. */
void socket_address(const struct sockaddr_storage *addr, socklen_t len, char *buf, size_t size);

#endif
