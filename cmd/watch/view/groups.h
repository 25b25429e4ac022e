/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups of faults, counted in a limited number of rows. */
#ifndef CMD_VIEW_GROUPS_H
#define CMD_VIEW_GROUPS_H

#include "cmd/watch/totals.h"
#include "lib/uffdctl.h"

enum {
	VIEW_MAX_GROUPS = 4096, /* and one more for (others) */
	VIEW_NR_HEADS = 8192,
};

struct group {
	uint64_t key, key2;			  /* identity: two numbers whose meaning depends on the grouping */
	uint64_t faults, kinds[NR_KINDS], max_ns; /* kinds: by bit of the mode */
	uint64_t sampled;			  /* faults at the last sample */
	uint64_t rate;				  /* a second, between the last two samples */
	const char *op;				  /* of the last fault, as the rest; a static string, or NULL */
	uint64_t ip;				  /* UFFDCTL_UNKNOWN */
	pid_t pid, tid;				  /* who waited */
	pid_t resolver_pid;			  /* 0: nobody */
	enum uffdctl_end end;
	char comm[16], resolver_comm[16];
	uint32_t buckets[UFFDCTL_NR_BUCKETS]; /* waits, as in struct uffdctl_watch_stats */
	uint32_t next;			      /* of the same hash; an index, 0 for none */
	uint32_t newer, older;		      /* by last fault */
};

/* Zero to begin with. */
struct groups {
	struct group rows[VIEW_MAX_GROUPS + 1]; /* the first row: (others), the sum of removed rows */
	uint32_t heads[VIEW_NR_HEADS];
	uint32_t nr, newest, oldest;
	uint64_t nr_dropped;
};

/* Add a fault to the group with these keys. */
void groups_add(struct groups *gs, uint64_t key, uint64_t key2, const struct uffdctl_fault *f);
/* Remove the group with this key; its faults are counted in (others). */
void groups_drop(struct groups *gs, uint64_t key);
/* Rates since the last sample, over this many seconds. */
void groups_sample(struct groups *gs, double s);
/* The sum of all rows: kinds, waits, and all ended faults, counted as woken. */
void groups_sum(const struct groups *gs, struct uffdctl_watch_stats *st);
/* A copy to show; nothing can be added to it. */
void groups_copy(struct groups *to, const struct groups *from);

/* The same as totals_percentile(), for a group. */
uint64_t group_percentile(const struct group *g, double percent);

#endif
