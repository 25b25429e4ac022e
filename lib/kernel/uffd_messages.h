/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The messages of a userfaultfd (userfaultfd(2), Reading from the userfaultfd structure). */
#ifndef UFFDCTL_UFFD_MESSAGES_H
#define UFFDCTL_UFFD_MESSAGES_H

#include <stdbool.h>

#include "lib/kernel/uapi.h"

/* O_NONBLOCK belongs to the open file, which is the target's too: take it as it is. */
struct uffd_messages {
	int uffd;
	bool nonblock; /* poll(2) works, and read(2) does not wait */
	bool nowait;   /* RWF_NOWAIT works, too (Linux 6.10) */
};

int uffd_messages_init(int uffd, struct uffd_messages *ret);

/* Can they be read without waiting? */
static inline bool uffd_messages_can_peek(const struct uffd_messages *m)
{
	return m->nonblock || m->nowait;
}

/*
 * Read those that there are, without waiting. Needs uffd_messages_can_peek().
 * Returns their number, or a negative errno.
 */
int uffd_messages_read(const struct uffd_messages *m, struct uffd_msg *msgs, unsigned int room);

/*
 * Wait until there is one, or until stop is readable, up to timeout_ms. 1: there may be some; 0: there are none.
 * If the descriptor is not O_NONBLOCK there is nothing but to read: then this returns their number, as read. There a
 * signal ends it (0), and neither stop nor timeout_ms do.
 */
int uffd_messages_wait(const struct uffd_messages *m, int stop, int timeout_ms, struct uffd_msg *msgs,
		       unsigned int room);

/* Does the memory that a userfaultfd governs not exist any more? Changes nothing. */
bool uffd_memory_is_gone(int uffd);

#endif
