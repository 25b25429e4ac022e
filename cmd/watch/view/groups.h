/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups of faults, counted in a limited number of rows. */
#ifndef CMD_VIEW_GROUPS_H
#define CMD_VIEW_GROUPS_H

#include "cmd/watch/view/counts.h"

enum {
	VIEW_MAX_GROUPS = 4096, /* and one more for (others) */
	VIEW_NR_HEADS = 8192,
};

struct group {
	uint64_t key, key2;	/* identity: two numbers whose meaning depends on the grouping */
	uint64_t sampled;	/* faults at the last sample */
	uint64_t rate;		/* a second, between the last two samples */
	const char *op;		/* of the last fault, as the rest; a static string, or NULL */
	uint64_t ip;		/* UFFDCTL_UNKNOWN */
	pid_t pid, tid;		/* who waited */
	pid_t resolver, reader; /* threads; 0: nobody */
	enum uffdctl_end end;
	char comm[16], resolver_comm[16], reader_comm[16];
	uint32_t next;	       /* of the same hash; an index, 0 for none */
	uint32_t newer, older; /* by last fault */
	struct counts counts;
};

/* Zero to begin with. */
struct groups {
	struct group rows[VIEW_MAX_GROUPS + 1]; /* the first row: (others), the sum of removed rows */
	uint32_t heads[VIEW_NR_HEADS];
	uint32_t nr, newest, oldest;
	uint64_t nr_dropped;
};

/* The thread that ended a fault, which has the name resolver_comm; 0: nobody. */
static inline pid_t resolver_of(const struct uffdctl_fault *f)
{
	return f->resolver_tid;
}

/* Add a fault to the group with these keys. @parts: parts_of(f) */
void groups_add(struct groups *gs, uint64_t key, uint64_t key2, const struct uffdctl_fault *f,
		const struct parts *parts);
/* Remove the group with this key; its faults are counted in (others). */
void groups_drop(struct groups *gs, uint64_t key);
/* Rates since the last sample, over this many seconds. */
void groups_sample(struct groups *gs, double s);
/* Remove all rows. */
void groups_clear(struct groups *gs);
/* A copy to show; nothing can be added to it. */
void groups_copy(struct groups *to, const struct groups *from);

#endif
