// SPDX-License-Identifier: GPL-2.0-or-later
/* Arithmetic with totals. */
#include "cmd/watch/totals.h"

enum uffdctl_kind totals_kind(int i)
{
	static const enum uffdctl_kind kinds[NR_KINDS] = { UFFDCTL_KIND_MINOR, UFFDCTL_KIND_MISSING, UFFDCTL_KIND_WP,
							   UFFDCTL_KIND_RWP };

	return kinds[i];
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
