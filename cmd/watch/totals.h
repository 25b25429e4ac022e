/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arithmetic with totals and with their histogram of waits. */
#ifndef CMD_WATCH_TOTALS_H
#define CMD_WATCH_TOTALS_H

#include "lib/uffdctl.h"

enum {
	NR_KINDS = 4, /* of faults; counts by kind begin with minor */
};

/* "minor" and so on: the name of the kind at this index. */
const char *totals_kind_name(int i);
uint64_t totals_sum(const uint64_t *n, int nr);
uint64_t totals_most(const uint64_t *n, int nr);
/* A fault that was seen only by its message may turn out to have been seen otherwise: then it is 0. */
uint64_t totals_grown(uint64_t now, uint64_t last);

/* The longest wait that is counted in bucket i; UFFDCTL_UNKNOWN for the last one. */
uint64_t bucket_bound_ns(int i);
int bucket_of(uint64_t wait_ns);

/* Percentile p of the waits: the upper bound of a bucket; 1: the longest wait. UFFDCTL_UNKNOWN while there is none. */
uint64_t totals_percentile(const struct uffdctl_watch_stats *st, double p);

#endif
