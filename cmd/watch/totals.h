/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arithmetic with totals. */
#ifndef CMD_WATCH_TOTALS_H
#define CMD_WATCH_TOTALS_H

#include "lib/uffdctl.h"

enum {
	NR_KINDS = 4, /* of faults */
};

/* The index of a kind of fault in counts by bit of the mode. */
#define BY_KIND(kind) ((kind)-UFFDCTL_KIND_MISSING)

/* The kinds of faults in the order in which they are shown. */
enum uffdctl_kind totals_kind(int i);
uint64_t totals_sum(const uint64_t *n, int nr);
uint64_t totals_most(const uint64_t *n, int nr);
/*
 * How much a count has grown. A count may also fall, if a fault that was counted by its message turns out to have been
 * counted already: then 0.
 */
uint64_t totals_grown(uint64_t now, uint64_t last);

/* A percentile of the waits; 100: the longest wait. UFFDCTL_UNKNOWN while there is none. */
static inline uint64_t totals_percentile(const struct uffdctl_watch_stats *st, double percent)
{
	return uffdctl_percentile_ns(st->buckets, st->max_wait_ns, percent);
}

#endif
