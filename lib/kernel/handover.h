/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text and descriptors from a socket of the kind AF_UNIX (unix(7): SCM_RIGHTS, SO_PEERCRED). */
#ifndef UFFDCTL_HANDOVER_H
#define UFFDCTL_HANDOVER_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#define HANDOVER_MAX_FDS 16

struct handover_part {
	char text[16384];
	size_t len;
	int fds[HANDOVER_MAX_FDS]; /* close-on-exec; -1: taken */
	size_t nr_fds;
};

/* Who was at the other end when it connected; pid 0: not in our PID namespace. */
int handover_peer(int socket, struct ucred *ret);
/* What there is now. -EAGAIN: nothing; -EPIPE: nothing will come; -E2BIG: too many descriptors. */
int handover_receive(int socket, struct handover_part *ret);
/* Close the descriptors that nobody has taken. */
void handover_close(struct handover_part *part);

#endif
