// SPDX-License-Identifier: LGPL-2.1-or-later
/* Waiting times, counted into buckets by powers of two. */
#include "lib/watch/watch.h"

_Static_assert(EV_NR_BUCKETS == UFFDCTL_NR_BUCKETS, "the programs count so");

UFFDCTL_EXPORT uint64_t uffdctl_bucket_bound_ns(unsigned int i)
{
	return i < UFFDCTL_NR_BUCKETS - 1 ? UINT64_C(1000) << i : UFFDCTL_UNKNOWN;
}

UFFDCTL_EXPORT unsigned int uffdctl_bucket(uint64_t wait_ns)
{
	unsigned int i = 0;

	while (wait_ns > uffdctl_bucket_bound_ns(i))
		i++;
	return i;
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
