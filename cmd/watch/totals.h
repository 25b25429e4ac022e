/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arithmetic with totals. */
#ifndef CMD_WATCH_TOTALS_H
#define CMD_WATCH_TOTALS_H

#include "lib/uffdctl.h"

enum {
	NR_KINDS = 4, /* of faults */
	NR_WAITS = 3,
	NR_PERCENTS = 4,
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

/* The whole wait, and its parts before and after its message is read: where their numbers are in the totals. */
extern const struct totals_wait {
	const char *name, *key; /* in text, in JSON */
	size_t buckets, max;
} totals_waits[NR_WAITS];

/* The percentiles that are shown; the last one is the longest wait. */
extern const struct totals_percent {
	const char *name;
	double percent;
} totals_percents[NR_PERCENTS];

const uint64_t *totals_buckets(const struct uffdctl_watch_stats *st, const struct totals_wait *w);
/* A percentile of the waits; 100: the longest wait. UFFDCTL_UNKNOWN if there is none, or if it is not known. */
uint64_t totals_percentile(const struct uffdctl_watch_stats *st, const struct totals_wait *w, double percent);

/* What came since the last totals. Numbers of threads that wait are those of now. */
void totals_since(const struct uffdctl_watch_stats *now, const struct uffdctl_watch_stats *last,
		  struct uffdctl_watch_stats *ret);

#endif
