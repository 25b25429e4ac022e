/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers of faults, and how long they waited: in all, for a handler to read them, and for it to resolve them. */
#ifndef CMD_VIEW_COUNTS_H
#define CMD_VIEW_COUNTS_H

#include "cmd/watch/totals.h"
#include "lib/uffdctl.h"

/* The indices of totals_waits; queued and handled are known only of faults whose message was read. */
enum part {
	PART_WAIT,
	PART_QUEUED,
	PART_HANDLED,
};

/* The parts of one wait, UFFDCTL_UNKNOWN where not known, and their buckets. */
struct parts {
	uint64_t ns[NR_WAITS];
	unsigned int buckets[NR_WAITS];
};

/* Many waits; zero to begin with. */
struct waits {
	uint64_t nr, total_ns, max_ns;
	uint32_t buckets[UFFDCTL_NR_BUCKETS];
};

struct counts {
	uint64_t faults, kinds[NR_KINDS]; /* kinds: by bit of the mode */
	struct waits waits[NR_WAITS];
};

struct parts parts_of(const struct uffdctl_fault *f);
void counts_add(struct counts *c, enum uffdctl_kind kind, const struct parts *parts);
void counts_merge(struct counts *to, const struct counts *from);

/* UFFDCTL_UNKNOWN while there is none. Percentiles are upper bounds, at most the longest wait, which is 100. */
uint64_t waits_percentile(const struct waits *w, double percent);
uint64_t waits_average(const struct waits *w);
uint64_t waits_total(const struct waits *w);

#endif
