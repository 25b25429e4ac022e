/* SPDX-License-Identifier: GPL-2.0-only */
/* The userfaultfds that exist, by the memory that they govern, for the backend sched. */
#ifndef UFFDCTL_BPF_WATCH_GOVERNED_H
#define UFFDCTL_BPF_WATCH_GOVERNED_H

#include "bpf/queues.h"
#include "bpf/watch/descriptor.h"
#include "bpf/watch/processes.h"

/* A userfaultfd has been seen: until then nothing can fault. Set by programs and by the loader. */
extern __u32 active;

struct governed_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EV_MAX_GOVERNED);
	__type(key, __u64);
	__type(value, struct ev_ctxs);
};

/* Governed memories, by mm, and the userfaultfds that govern each. */
extern struct governed_map mms SEC(".maps");

/* Bits of these memories: set before the memory is in the map. */
extern __u64 mm_bits[EV_MM_BITS / 64];

static inline bool may_be_governed(__u64 mm)
{
	__u32 bit = ev_mm_bit(mm);

	return mm_bits[bit / 64 & (EV_MM_BITS / 64 - 1)] >> bit % 64 & 1;
}

/* The userfaultfds of all watched memories, at most EV_MAX_ALL_CTXS: set by the loader. */
extern __u32 nr_ctxs;
extern __u64 ctxs[EV_MAX_ALL_CTXS];

/* Add a new userfaultfd, by its address. */
int learn_ctx(__u64 ctx);

#endif
