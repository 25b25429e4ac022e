// SPDX-License-Identifier: GPL-2.0-only
/* The totals of faults that have ended, and the stream of their records. */
#include "bpf/watch/totals.h"

char _license[] SEC("license") = "GPL";

struct ev_stats stats[EV_NR_STATS];

struct event_map events SEC(".maps");
