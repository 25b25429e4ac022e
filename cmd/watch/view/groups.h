/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults that have something in common, counted in a bounded number of rows. */
#ifndef CMD_VIEW_GROUPS_H
#define CMD_VIEW_GROUPS_H

#include "cmd/watch/totals.h"
#include "lib/uffdctl.h"

enum {
	VIEW_MAX_GROUPS = 4096, /* and one more for the others */
	VIEW_NR_HEADS = 8192,
};

struct group {
	uint64_t key, key2; /* identity: numbers that depend on the grouping */
	uint64_t faults, kinds[NR_KINDS], max_ns;
	uint64_t sampled;   /* faults at the last sample */
	uint64_t rate;	    /* a second, between the last two samples */
	const char *op;	    /* of the last fault, as the rest; a static string, or NULL */
	uint64_t ip;	    /* UFFDCTL_UNKNOWN */
	pid_t pid, tid;	    /* who waited */
	pid_t resolver_pid; /* 0: nobody */
	enum uffdctl_end end;
	char comm[16], resolver_comm[16];
	uint32_t buckets[UFFDCTL_NR_BUCKETS]; /* waits, as in struct uffdctl_watch_stats */
	uint32_t next;			      /* of the same hash; an index, 0 for none */
	uint32_t newer, older;		      /* by last fault */
};

/* Zero to begin with. */
struct groups {
	struct group rows[VIEW_MAX_GROUPS + 1]; /* the first: (others), of those that had to make room */
	uint32_t heads[VIEW_NR_HEADS];
	uint32_t nr, newest, oldest;
	uint64_t nr_dropped;
};

/* A fault of the group with these keys. */
void groups_add(struct groups *gs, uint64_t key, uint64_t key2, const struct uffdctl_fault *f);
/* The group with this key goes; its faults stay as some of the others'. */
void groups_drop(struct groups *gs, uint64_t key);
/* Rates, since the last sample: so many seconds. */
void groups_sample(struct groups *gs, double s);
/* Adds up all rows: kinds, waits, and as woken all that ended. */
void groups_sum(const struct groups *gs, struct uffdctl_watch_stats *st);
/* To look at: nothing can be added to a copy. */
void groups_copy(struct groups *to, const struct groups *from);

/* As totals_percentile(), of a group. */
uint64_t group_percentile(const struct group *g, double p);

#endif
