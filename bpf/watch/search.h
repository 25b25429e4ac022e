/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a thread in the queues of a userfaultfd, which change meanwhile. */
#ifndef UFFDCTL_BPF_WATCH_SEARCH_H
#define UFFDCTL_BPF_WATCH_SEARCH_H

#include "bpf/queues.h"

/* How many entries of a queue are searched: new ones are added at its head. */
#define DEPTH 64

/*
 * The struct userfaultfd_wait_queue of a task in the queue with this head; 0: it is not there. All are numbers, since
 * typed pointers can't be passed. @other: the head of the other queue, in which an entry may be by now
 */
__u64 find_in_queue(__u64 head, __u64 other, __u64 task);

/* Is this struct userfaultfd_wait_queue in the queue of delivered messages? */
int is_read(__u64 ctx, __u64 uwq);

struct found {
	struct userfaultfd_wait_queue *uwq;
	struct userfaultfd_ctx *ctx;
	__u64 delivered; /* a message that was read */
};

static inline bool find_in_ctx(struct userfaultfd_ctx *ctx, __u64 task, struct found *ret)
{
	__u64 queued, read;

	if (!ctx)
		return false;
	queued = (__u64)queue_of(ctx, fault_pending_wqh);
	read = (__u64)queue_of(ctx, fault_wqh);
	ret->ctx = ctx;
	ret->delivered = false;
	ret->uwq = (void *)find_in_queue(queued, read, task);
	if (!ret->uwq) {
		ret->delivered = true;
		ret->uwq = (void *)find_in_queue(read, queued, task);
	}
	return ret->uwq;
}

#endif
