// SPDX-License-Identifier: GPL-2.0-only
/* The totals of faults that have ended, and the stream of their records. */
#include "bpf/watch/totals.h"

char _license[] SEC("license") = "GPL";

struct stats_map stats SEC(".maps");

struct event_map events SEC(".maps");

/* The number of the highest bit of a byte. */
#define TWICE(n) n, n
#define TIMES_8(n) TWICE(n), TWICE(n), TWICE(n), TWICE(n)
#define TIMES_32(n) TIMES_8(n), TIMES_8(n), TIMES_8(n), TIMES_8(n)
static const __u8 highest_bit[256] = {
	TWICE(0),    TWICE(1),	  TWICE(2),    TWICE(2),    TIMES_8(3),	 TIMES_8(4),  TIMES_8(4),
	TIMES_32(5), TIMES_32(6), TIMES_32(6), TIMES_32(7), TIMES_32(7), TIMES_32(7), TIMES_32(7),
};

/* The bucket of a wait. Not static: its paths are verified once, and not for each caller. */
__noinline __u32 bucket_of(__u64 ns)
{
	__u64 len = ns ? ns - 1 : 0, left = len >> EV_SHORTEST;
	__u32 doublings = 0, i;

	if (!left)
		return 0;
	if (left >> EV_DOUBLINGS)
		return EV_NR_BUCKETS - 1;
	if (left >> 16) {
		left >>= 16;
		doublings = 16;
	}
	if (left >> 8) {
		left >>= 8;
		doublings += 8;
	}
	doublings += highest_bit[left & 0xff];
	/* The bits after the highest one. */
	len = (len << 4 >> EV_SHORTEST) >> doublings;
	i = 1 + doublings * EV_PARTS + (len & (EV_PARTS - 1));
	return i < EV_NR_BUCKETS ? i : EV_NR_BUCKETS - 1;
}

_Static_assert(EV_DOUBLINGS <= 32, "four bytes");
_Static_assert(EV_PARTS == 1 << 4, "four bits after the highest one");
