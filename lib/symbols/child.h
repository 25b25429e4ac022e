/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process of our own that touches what a target can stall, blow up or cut short: its files.
 *
 * A system call on a file of a FUSE or NFS mount whose server does not answer comes back never, and no signal
 * ends it. Only another process can be left behind. It holds nothing of the target's then, its memory is
 * bounded, and it ends by itself as soon as it can.
 */
#ifndef UFFDCTL_CHILD_H
#define UFFDCTL_CHILD_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* When it has not run for so long, waiting for a server, or has not said anything for so long, it is given up. */
#define CHILD_IDLE_MS 5000
#define CHILD_SILENCE_MS 60000

struct child {
	pid_t pid; /* 0: there is none */
	int sock;  /* SOCK_SEQPACKET, both ways */
	struct child_state *state;
};

/*
 * Fork it. All threads may be there: it has this one alone.
 * @keep: descriptors beside which all are closed in it, before anything else
 * @max_bytes: memory that it may take beyond what we have
 * @run: what it does; it ends by returning
 * -errno of socketpair(2), mmap(2) or fork(2).
 */
int child_start(struct child *c, const int *keep, size_t nr_keep, uint64_t max_bytes, void (*run)(int sock, void *arg),
		void *arg);

/*
 * The next message of the child's.
 * @mask: of signals while it is waited for, as with ppoll(2); NULL: as it is
 * @ret_len: out
 * -ETIMEDOUT: given up, as above; -EPIPE: it has ended; -EINTR: a signal was handled.
 */
int child_receive(struct child *c, const sigset_t *mask, void *buf, size_t size, size_t *ret_len);

/* -errno of send(2). */
int child_send(struct child *c, const void *buf, size_t len);

/* End it, or leave it behind. NULL or none: nothing. */
void child_stop(struct child *c);

/* What it was doing last: as it said by child_mark(). */
uint64_t child_at(const struct child *c);

/* In the child: what is done now. Anywhere else nothing. */
void child_mark(uint64_t at);

#endif
