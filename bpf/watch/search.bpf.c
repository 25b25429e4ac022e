// SPDX-License-Identifier: GPL-2.0-only
/* Finding a thread in the queues of a userfaultfd. Not static: each function is verified once, not where it is called. */
#include "bpf/watch/search.h"

char _license[] SEC("license") = "GPL";

/*
 * An entry that is removed meanwhile leads to nothing, to itself or to the head of the other queue: then begin the
 * walk again.
 */
__noinline __u64 find_in_queue(__u64 head, __u64 other, __u64 task)
{
	struct list_head *at = (void *)head, *next;

	for (int i = 0; i < DEPTH; i++) {
		struct userfaultfd_wait_queue *uwq;

		next = BPF_CORE_READ(at, next);
		if (next == (void *)head)
			return 0;
		if (!next || next == at || next == (void *)other) {
			at = (void *)head;
			continue;
		}
		at = next;
		uwq = uwq_of(at);
		if ((__u64)BPF_CORE_READ(uwq, wq.private) == task)
			return (__u64)uwq;
	}
	return NOT_SEEN;
}

/* A waker removes entries from the front, so that the head is near on one side or the other. */
__noinline int is_read(__u64 ctx, __u64 uwq)
{
	struct list_head *read = queue_of(ctx, fault_wqh), *queued = queue_of(ctx, fault_pending_wqh);
	struct list_head *next = entry_of((void *)uwq), *prev = next;

	for (int i = 0; i < DEPTH; i++) {
		next = BPF_CORE_READ(next, next);
		prev = BPF_CORE_READ(prev, prev);
		if (next == read || prev == read)
			return true;
		if (next == queued || prev == queued)
			return false;
	}
	return false;
}
