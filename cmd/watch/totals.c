// SPDX-License-Identifier: GPL-2.0-or-later
/* Arithmetic with totals and with their histogram of waits. */
#include "cmd/watch/totals.h"

const char *totals_kind_name(int i)
{
	return uffdctl_kind_name(UFFDCTL_KIND_MINOR + i);
}

uint64_t totals_sum(const uint64_t *n, int nr)
{
	uint64_t sum = 0;

	for (int i = 0; i < nr; i++)
		sum += n[i];
	return sum;
}

uint64_t totals_most(const uint64_t *n, int nr)
{
	uint64_t most = 0;

	for (int i = 0; i < nr; i++)
		most = n[i] > most ? n[i] : most;
	return most;
}

uint64_t totals_grown(uint64_t now, uint64_t last)
{
	return now > last ? now - last : 0;
}

/* ---- the histogram ---- */

uint64_t bucket_bound_ns(int i)
{
	return i < UFFDCTL_NR_BUCKETS - 1 ? UINT64_C(1000) << i : UFFDCTL_UNKNOWN;
}

int bucket_of(uint64_t wait_ns)
{
	int i = 0;

	while (wait_ns > bucket_bound_ns(i))
		i++;
	return i;
}

uint64_t totals_percentile(const struct uffdctl_watch_stats *st, double p)
{
	uint64_t total = totals_sum(st->buckets, UFFDCTL_NR_BUCKETS), sum = 0;

	if (!total)
		return UFFDCTL_UNKNOWN;
	for (int i = 0; p < 1 && i < UFFDCTL_NR_BUCKETS - 1; i++) {
		sum += st->buckets[i];
		if ((double)sum >= p * (double)total)
			return bucket_bound_ns(i) < st->max_wait_ns ? bucket_bound_ns(i) : st->max_wait_ns;
	}
	return st->max_wait_ns;
}
