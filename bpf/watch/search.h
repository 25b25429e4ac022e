/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a thread in the queues of a userfaultfd, which change meanwhile. */
#ifndef UFFDCTL_BPF_WATCH_SEARCH_H
#define UFFDCTL_BPF_WATCH_SEARCH_H

#include "bpf/queues.h"

/* How many entries of a queue are searched: new ones are added at its head. */
#define DEPTH 64

/* It may be further back in the queue. */
#define NOT_SEEN 1

/*
 * The struct userfaultfd_wait_queue of a task in the queue with this head; 0: it is not there; or NOT_SEEN. All are
 * numbers, since typed pointers can't be passed.
 * @other: the head of the other queue, in which an entry may be by now
 */
__u64 find_in_queue(__u64 head, __u64 other, __u64 task);

/* Is this struct userfaultfd_wait_queue in the queue of delivered messages? */
int is_read(__u64 ctx, __u64 uwq);

struct found {
	struct userfaultfd_wait_queue *uwq;
	struct userfaultfd_ctx *ctx;
	__u32 delivered; /* its message was read */
	__u32 unsure;	 /* it was not found, but may be there */
};

static inline bool find_in_ctx(struct userfaultfd_ctx *ctx, __u64 task, struct found *ret)
{
	__u64 queued, read, uwq;

	if (!ctx)
		return false;
	queued = (__u64)queue_of(ctx, fault_pending_wqh);
	read = (__u64)queue_of(ctx, fault_wqh);
	ret->ctx = ctx;
	ret->delivered = false;
	uwq = find_in_queue(queued, read, task);
	ret->unsure = uwq == NOT_SEEN;
	if (uwq <= NOT_SEEN) {
		ret->delivered = true;
		uwq = find_in_queue(read, queued, task);
		ret->unsure |= uwq == NOT_SEEN;
	}
	ret->uwq = uwq <= NOT_SEEN ? NULL : (void *)uwq;
	return ret->uwq;
}

#endif
