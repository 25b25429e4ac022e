/* SPDX-License-Identifier: GPL-2.0-only */
/* The slots of threads: the current fault of each. */
#ifndef UFFDCTL_BPF_WATCH_SLOTS_H
#define UFFDCTL_BPF_WATCH_SLOTS_H

#include "bpf/watch/totals.h"

struct slot_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EV_NR_SLOTS);
	__type(key, __u32);
	__type(value, struct ev_slot);
};

extern struct slot_map slots SEC(".maps");

/* A thread found no room: from then on, a thread without a slot may be in a missed fault. */
extern __u32 no_room;

/* Number of slots whose fault is counted and has not ended: while it is 0, no such fault needs to be looked for. */
extern __u64 nr_taken;

static __always_inline struct ev_slot *search_slot(__u64 task)
{
	for (__u32 i = 0; i < EV_MAX_PROBES; i++) {
		__u32 at = ev_slot_place(task, i);
		struct ev_slot *s = bpf_map_lookup_elem(&slots, &at);

		if (s && s->task == task)
			return s;
	}
	return NULL;
}

/* A light skeleton can't have more than 32 functions: this is not inlined, and where it is called once, not used. */
static __noinline struct ev_slot *find_slot(__u64 task)
{
	return search_slot(task);
}

static inline struct ev_slot *take_place(__u64 task)
{
	struct ev_slot *first;

	for (__u32 i = 0; i < EV_MAX_PROBES; i++) {
		__u32 at = ev_slot_place(task, i);
		struct ev_slot *s = bpf_map_lookup_elem(&slots, &at);

		if (!s || s->task || __sync_val_compare_and_swap(&s->task, 0, task))
			continue;
		/* Another CPU may have claimed a slot for the same thread. */
		first = find_slot(task);
		if (first != s)
			__sync_lock_test_and_set(&s->task, 0);
		return first;
	}
	return NULL;
}

static inline struct ev_slot *claim_slot(__u64 task)
{
	struct ev_slot *s = take_place(task);

	if (!s) {
		no_room = 1;
		ADD(own_stats()->missed, 1);
	}
	return s;
}

static __noinline struct ev_slot *find_or_claim_slot(const void *task)
{
	return find_slot((__u64)task) ?: claim_slot((__u64)task);
}

static __always_inline struct ev_slot *slot_of(const void *task, bool create)
{
	__u32 at = ev_slot_place((__u64)task, 0);
	struct ev_slot *s = bpf_map_lookup_elem(&slots, &at);

	if (s && s->task == (__u64)task)
		return s;
	return create ? find_or_claim_slot(task) : find_slot((__u64)task);
}

#endif
