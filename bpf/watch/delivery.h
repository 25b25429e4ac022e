/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds the messages that were just read: their entries are the newest of fault_wqh, mixed with those of other
 * readers.
 */
#ifndef UFFDCTL_BPF_WATCH_DELIVERY_H
#define UFFDCTL_BPF_WATCH_DELIVERY_H

#include "bpf/watch/read.h"
#include "bpf/watch/search.h"

struct delivery {
	struct userfaultfd_ctx *ctx;
	struct list_head *head, *queued; /* heads of both queues */
	struct list_head *at, *from;	 /* from: the entry before at */
	__u64 now;			 /* 0: not known yet */
	__u32 nr_left; /* number of messages that were read, or of entries to look at although they are marked */
	__u32 depth;   /* entries from the head to at */
	bool by_us;    /* the current task has read them */
};

/*
 * Has the walk left the queue? An entry that was removed, or is in the other queue by now, leads to no entry whose
 * message was read.
 */
static inline bool is_astray(const struct delivery *d, struct list_head *next, bool sure)
{
	if (d->at == d->head)
		return false;
	if (next == d->at || next == d->queued || (__u64)next == LIST_POISON1)
		return true;
	return !sure && d->depth < DEPTH && !is_read((__u64)d->ctx, (__u64)uwq_of(next));
}

/*
 * Go to the next entry. False: there is none; NULL: the walk begins again.
 * @sure: assume that an entry is in the queue in which it was met; otherwise search for it there once more
 */
static inline bool delivery_step(struct delivery *d, bool sure, struct userfaultfd_wait_queue **ret)
{
	/* An entry that can't be read is treated like a removed one. */
	struct list_head *next = READ(struct list_head, d->at, next) ?: d->at;

	if (next == d->head)
		return false;
	if (is_astray(d, next, sure)) {
		/* Begin again, and go on past marked entries. */
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

/* The same time for all that are read. */
static inline __u64 delivery_time(struct delivery *d)
{
	if (!d->now)
		d->now = bpf_ktime_get_ns();
	return d->now;
}

/* End at an entry that was marked before, after as many entries as messages were read. */
static inline bool delivery_ends(struct delivery *d, bool was_marked)
{
	if (d->nr_left)
		d->nr_left--;
	return was_marked && !d->nr_left;
}

/*
 * Walk through the newest entries of fault_wqh.
 * @next: the step for bpf_loop(), called at most nr_most times
 */
static __always_inline void deliver_newest(struct userfaultfd_ctx *ctx, bool by_us, __u32 nr_read, __u32 nr_most,
					   long (*next)(__u32 i, struct delivery *d))
{
	struct delivery d = { .ctx = ctx, .nr_left = nr_read, .by_us = by_us };

	d.head = queue_of(ctx, fault_wqh);
	d.queued = queue_of(ctx, fault_pending_wqh);
	d.at = d.head;
	bpf_loop(nr_most, next, &d, 0);
}

#endif
