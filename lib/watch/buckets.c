// SPDX-License-Identifier: LGPL-2.1-or-later
/* Waiting times, counted into buckets: see bpf/event.h. */
#include "lib/watch/watch.h"

_Static_assert(EV_NR_BUCKETS == UFFDCTL_NR_BUCKETS, "the programs count so");

UFFDCTL_EXPORT uint64_t uffdctl_bucket_bound_ns(unsigned int i)
{
	if (i >= UFFDCTL_NR_BUCKETS - 1)
		return UFFDCTL_UNKNOWN;
	if (!i)
		return UINT64_C(1) << EV_SHORTEST;
	i--;
	return ((uint64_t)(EV_PARTS + i % EV_PARTS + 1) << (EV_SHORTEST + i / EV_PARTS)) / EV_PARTS;
}

UFFDCTL_EXPORT unsigned int uffdctl_bucket(uint64_t wait_ns)
{
	uint64_t len = wait_ns ? wait_ns - 1 : 0, left = len >> EV_SHORTEST;
	unsigned int doublings;

	if (!left)
		return 0;
	doublings = 63 - (unsigned int)__builtin_clzll(left);
	if (doublings >= EV_DOUBLINGS)
		return UFFDCTL_NR_BUCKETS - 1;
	/* The bits after the highest one. */
	return 1 + doublings * EV_PARTS + (len * EV_PARTS >> EV_SHORTEST >> doublings) % EV_PARTS;
}

UFFDCTL_EXPORT uint64_t uffdctl_percentile_ns(const uint64_t *buckets, uint64_t max_ns, double percent)
{
	uint64_t total = 0, sum = 0;

	for (unsigned int i = 0; i < UFFDCTL_NR_BUCKETS; i++)
		total += buckets[i];
	if (!total)
		return UFFDCTL_UNKNOWN;
	for (unsigned int i = 0; percent < 100 && i < UFFDCTL_NR_BUCKETS - 1; i++) {
		sum += buckets[i];
		if (sum && (double)sum * 100 >= percent * (double)total)
			return uffdctl_bucket_bound_ns(i) < max_ns ? uffdctl_bucket_bound_ns(i) : max_ns;
	}
	return max_ns;
}
