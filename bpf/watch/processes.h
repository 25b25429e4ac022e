/* SPDX-License-Identifier: GPL-2.0-only */
/* The processes whose faults are watched, and their memories. */
#ifndef UFFDCTL_BPF_WATCH_PROCESSES_H
#define UFFDCTL_BPF_WATCH_PROCESSES_H

#include "bpf/watch/config.h"

struct process_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EV_MAX_PROCESSES);
	__type(key, __u64);
	__type(value, __u64);
};

/* With EV_WATCH_SOME: the memories to watch, and the number of chosen processes that have each. */
extern struct process_map memories SEC(".maps");

static inline bool is_wanted(__u64 mm)
{
	return !(config.flags & EV_WATCH_SOME) || bpf_map_lookup_elem(&memories, &mm);
}

#endif
