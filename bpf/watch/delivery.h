/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which messages were just read: their entries are the newest of fault_wqh, with those of other readers among them.
 * The includer has READ(type, p, field), deliver(), and IS_SURE: whether each entry is known to be where it was met,
 * or must be found there once more.
 */
#ifndef UFFDCTL_BPF_WATCH_DELIVERY_H
#define UFFDCTL_BPF_WATCH_DELIVERY_H

#include "bpf/watch/search.h"
#include "bpf/watch/slots.h"

struct delivery {
	struct userfaultfd_ctx *ctx;
	struct list_head *head, *queued; /* of both queues */
	struct list_head *at, *from;	 /* from: whence at was reached */
	struct ev_stats *st;
	__u64 now;
	__u32 nr_left; /* messages that were read, or entries that are looked at though they are marked */
	__u32 depth;   /* entries from the head to at */
};

/* Its message was read. True: that was known before. */
static bool deliver(const struct delivery *d, struct userfaultfd_wait_queue *uwq);

/* An entry that has been taken out, or is in the other queue by now, leads to none that was read. */
static bool is_astray(const struct delivery *d, struct list_head *next)
{
	if (d->at == d->head)
		return false;
	if (!next || next == d->at || next == d->queued || (__u64)next == LIST_POISON1)
		return true;
	return !IS_SURE && d->depth < DEPTH && !is_read((__u64)d->ctx, (__u64)uwq_of(next));
}

static long deliver_next(__u32 i, struct delivery *d)
{
	struct list_head *next = READ(struct list_head, d->at, next);
	bool was_marked;

	if (!next || next == d->head)
		return 1;
	if (is_astray(d, next)) {
		/* Anew, past those that are marked. */
		d->at = d->head;
		d->nr_left = DEPTH;
		d->depth = 0;
		return 0;
	}
	d->from = d->at;
	d->at = next;
	d->depth++;
	was_marked = deliver(d, uwq_of(next));
	if (d->nr_left)
		d->nr_left--;
	return was_marked && !d->nr_left;
}

/* The walk ends with an entry that is marked, when it has been at nr_least entries. */
static void deliver_newest(struct userfaultfd_ctx *ctx, __u64 now, __u32 nr_least, __u32 nr_most)
{
	struct delivery d = { .ctx = ctx, .st = own_stats(), .now = now, .nr_left = nr_least };

	if (!d.st)
		return;
	d.head = queue_of(ctx, fault_wqh);
	d.queued = queue_of(ctx, fault_pending_wqh);
	d.at = d.head;
	bpf_loop(nr_most, deliver_next, &d, 0);
}

#endif
