/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A child process that reads files of a target: the target can make them block, grow or shrink.
 *
 * A system call on a file of a FUSE or NFS mount whose server does not answer never returns, and no signal ends it.
 * Only another process can be left behind. It does not hold the target's userfaultfd, its memory is limited, and it
 * ends by itself as soon as it can.
 */
#ifndef UFFDCTL_CHILD_H
#define UFFDCTL_CHILD_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Give up a child that has not run for CHILD_IDLE_MS (it waits for a server), or has sent no message for
 * CHILD_SILENCE_MS.
 */
#define CHILD_IDLE_MS 5000
#define CHILD_SILENCE_MS 60000

struct child {
	pid_t pid; /* 0: there is none */
	int sock;  /* SOCK_SEQPACKET, both ways */
	struct child_state *state;
};

/*
 * Fork it. The parent may have several threads; the child has only the calling one.
 * @keep: descriptors to keep; the child first closes all others
 * @max_bytes: memory that it may use in addition to what we have
 * @run: runs in the child, which ends when it returns
 * -EINVAL: too many descriptors to keep; -errno of mmap(2), socketpair(2) or fork(2).
 */
int child_start(struct child *c, const int *keep, size_t nr_keep, uint64_t max_bytes, void (*run)(int sock, void *arg),
		void *arg);

/*
 * Receive the next message from the child.
 * @mask: signal mask while waiting, as for ppoll(2); NULL: unchanged
 * @ret_len: out
 * -ETIMEDOUT: given up, see above; -EPIPE: it has ended; -EINTR: a signal was handled.
 */
int child_receive(struct child *c, const sigset_t *mask, void *buf, size_t size, size_t *ret_len);

/* -errno of send(2). */
int child_send(struct child *c, const void *buf, size_t len);

/* End the child, or leave it behind. Does nothing for NULL or without a child. */
void child_stop(struct child *c);

/* The last mark that the child set with child_mark(). */
uint64_t child_at(const struct child *c);

/* In the child: record what is being done now. Elsewhere: does nothing. */
void child_mark(uint64_t at);

#endif
