/* SPDX-License-Identifier: GPL-2.0-only */
/* Which messages were just read: their entries are the newest of fault_wqh, with those of other readers among them. */
#ifndef UFFDCTL_BPF_WATCH_DELIVERY_H
#define UFFDCTL_BPF_WATCH_DELIVERY_H

#include "bpf/watch/read.h"
#include "bpf/watch/search.h"

struct delivery {
	struct userfaultfd_ctx *ctx;
	struct list_head *head, *queued; /* of both queues */
	struct list_head *at, *from;	 /* from: whence at was reached */
	__u64 now;
	__u32 nr_left; /* messages that were read, or entries that are looked at though they are marked */
	__u32 depth;   /* entries from the head to at */
};

/* An entry that has been taken out, or is in the other queue by now, leads to none that was read. */
static inline bool is_astray(const struct delivery *d, struct list_head *next, bool sure)
{
	if (d->at == d->head)
		return false;
	if (next == d->at || next == d->queued || (__u64)next == LIST_POISON1)
		return true;
	return !sure && d->depth < DEPTH && !is_read((__u64)d->ctx, (__u64)uwq_of(next));
}

/*
 * To the next entry. False: there is none; it is NULL where the walk begins anew.
 * @sure: an entry is taken to be in the queue that it was met in, else it is looked for there once more
 */
static inline bool delivery_step(struct delivery *d, bool sure, struct userfaultfd_wait_queue **ret)
{
	/* One that can't be read leads nowhere, as one that has been taken out. */
	struct list_head *next = READ(struct list_head, d->at, next) ?: d->at;

	if (next == d->head)
		return false;
	if (is_astray(d, next, sure)) {
		/* Past those that are marked. */
		d->at = d->head;
		d->nr_left = DEPTH;
		d->depth = 0;
		return true;
	}
	d->from = d->at;
	d->at = next;
	d->depth++;
	*ret = uwq_of(next);
	return true;
}

/* With an entry that was marked before, beyond as many as were read. */
static inline bool delivery_ends(struct delivery *d, bool was_marked)
{
	if (d->nr_left)
		d->nr_left--;
	return was_marked && !d->nr_left;
}

/* next: for bpf_loop(), at most nr_most times. */
static __always_inline void deliver_newest(struct userfaultfd_ctx *ctx, __u64 now, __u32 nr_read, __u32 nr_most,
					   long (*next)(__u32 i, struct delivery *d))
{
	struct delivery d = { .ctx = ctx, .now = now, .nr_left = nr_read };

	d.head = queue_of(ctx, fault_wqh);
	d.queued = queue_of(ctx, fault_pending_wqh);
	d.at = d.head;
	bpf_loop(nr_most, next, &d, 0);
}

#endif
