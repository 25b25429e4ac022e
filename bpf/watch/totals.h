/* SPDX-License-Identifier: GPL-2.0-only */
/* Totals, and the stream of records. */
#ifndef UFFDCTL_BPF_WATCH_TOTALS_H
#define UFFDCTL_BPF_WATCH_TOTALS_H

#include "bpf/watch/config.h"
#include "bpf/watch/kind.h"

/*
 * Not a per-CPU map, which only bpf(2) can read: while that is preempted, the kernel skips the programs of kprobes on
 * the same CPU. And a variable is found in a third of the instructions.
 */
extern struct ev_stats stats[EV_NR_STATS];

struct event_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
};

extern struct event_map events SEC(".maps");

/* Programs on one CPU may interrupt each other. */
#define ADD(counter, n) ((void)__sync_fetch_and_add(&(counter), n))

static inline struct ev_stats *own_stats(void)
{
	return &stats[bpf_get_smp_processor_id() & (EV_NR_STATS - 1)];
}

static inline void count_fault(struct ev_stats *st, const struct ev_fault *f)
{
	ADD(st->faults[KIND(f->kind)], 1);
}

/* The reader of the stream polls it many times a second; wake it before the stream is full. */
#define WAKE_BYTES (1 << 20)

/* Send the record of a fault. False: the stream has no room. */
static inline bool hand_out(struct ev_fault *f)
{
	bool is_much = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > WAKE_BYTES;

	return !bpf_ringbuf_output(&events, f, EV_FAULT_BYTES, is_much ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

#endif
