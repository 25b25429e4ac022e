/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Totals of faults that have something in common: a bounded number of groups, and one for the rest. */
#ifndef CMD_REPORT_TALLIES_H
#define CMD_REPORT_TALLIES_H

#include "cmd/watch/totals.h"
#include "lib/uffdctl.h"

/* Waits that were counted; the parts of a wait are in the order of totals_waits. */
struct waits {
	uint64_t buckets[UFFDCTL_NR_BUCKETS];
	uint64_t max_ns;
};

/* The parts of a fault's wait; UFFDCTL_UNKNOWN. */
struct wait_parts {
	uint64_t ns[NR_WAITS];
};

struct tally_key {
	pid_t pid, tid;
	uint64_t number;
	const char *text; /* raw; NULL: not known */
};

struct tally {
	struct tally_key key; /* with a copy of the text */
	uint64_t faults;
	uint64_t wait_ns, max_wait_ns;
	uint64_t lowest, highest; /* address */
	struct waits *waits;	  /* NR_WAITS of them, or NULL: not counted */
	uint32_t next;		  /* of the same hash; 0: none */
};

struct tallies {
	struct tally *list; /* the first one is for faults that found no room */
	uint32_t *heads;
	uint32_t nr, max, last;
	struct waits *waits; /* NR_WAITS for each but the first one, or NULL */
};

struct wait_parts wait_parts_of(const struct uffdctl_fault *f);
void waits_add(struct waits *w, const struct wait_parts *parts);

/* @max: how many groups; @has_waits: count the waits of each. -ENOMEM. */
int tallies_init(struct tallies *g, uint32_t max, bool has_waits);
void tallies_add(struct tallies *g, const struct tally_key *key, const struct uffdctl_fault *f,
		 const struct wait_parts *parts);
void tallies_free(struct tallies *g);

/*
 * Those whose threads waited longest, in order, at most max of them; the group for the rest is not among them.
 * @ret: out, free with free(). Returns their number.
 */
size_t tallies_longest(const struct tallies *g, size_t max, const struct tally ***ret);
/* Faults that found no room. */
uint64_t tallies_left_out(const struct tallies *g);

#endif
