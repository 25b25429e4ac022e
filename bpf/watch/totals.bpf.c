// SPDX-License-Identifier: GPL-2.0-only
/* The totals of faults that have ended, and the stream of their records. */
#include "bpf/watch/totals.h"

char _license[] SEC("license") = "GPL";

struct stats_map stats SEC(".maps");

struct event_map events SEC(".maps");

/*
 * The bucket of a wait, by bisection. Not static: its many paths are verified once, and not for each caller.
 */
__noinline __u32 bucket_of(__u64 ns)
{
	__u64 len = ns ? ns - 1 : 0, left = len >> EV_SHORTEST;
	__u32 doublings = 0, i;

	if (!left)
		return 0;
	if (left >> EV_DOUBLINGS)
		return EV_NR_BUCKETS - 1;
	for (int bits = 16; bits; bits /= 2)
		if (left >> bits) {
			left >>= bits;
			doublings += bits;
		}
	/* The bits after the highest one. */
	len = (len << 4 >> EV_SHORTEST) >> doublings;
	i = 1 + doublings * EV_PARTS + (len & (EV_PARTS - 1));
	return i < EV_NR_BUCKETS ? i : EV_NR_BUCKETS - 1;
}

_Static_assert(EV_PARTS == 1 << 4, "four bits after the highest one");
