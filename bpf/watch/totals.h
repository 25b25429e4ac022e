/* SPDX-License-Identifier: GPL-2.0-only */
/* Totals, and the stream of records. */
#ifndef UFFDCTL_BPF_WATCH_TOTALS_H
#define UFFDCTL_BPF_WATCH_TOTALS_H

#include "bpf/watch/config.h"
#include "bpf/watch/kind.h"

struct stats_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ev_stats);
};

extern struct stats_map stats SEC(".maps");

/* Programs on one CPU may interrupt each other. */
#define ADD(counter, n) ((void)__sync_fetch_and_add(&(counter), n))

static inline struct ev_stats *own_stats(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&stats, &zero);
}

static inline void count_fault(struct ev_stats *st, const struct ev_fault *f)
{
	ADD(st->faults[KIND(f->kind)], 1);
}

/* Count a fault that has ended, and send its record. */
int count_end(struct ev_fault *f);

#endif
