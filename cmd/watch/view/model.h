/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the view of watch knows: groups of faults, mappings with their heat, samples, waiting threads.
 *
 * One flat block without pointers into itself, so that a pause is a copy and memory is bounded.
 * Nothing here knows of a terminal.
 */
#ifndef CMD_VIEW_MODEL_H
#define CMD_VIEW_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/watch/clock.h"
#include "cmd/watch/totals.h"

enum {
	VIEW_MAX_GROUPS = 4096, /* of one grouping, and one more for the others */
	VIEW_NR_HEADS = 8192,
	VIEW_NR_SAMPLES = 61, /* a minute of seconds needs both its ends */
	VIEW_MAX_MAPPINGS = 1024,
	VIEW_NR_CELLS = 512, /* of heat, a mapping */
	VIEW_NR_EVENTS = 256,
	VIEW_MAX_WAITERS = 1024,
	VIEW_MAX_TARGETS = 64,
	VIEW_NAME = 256, /* bytes that are kept of a name */
};

enum grouping {
	BY_MAPPING,
	BY_THREAD,
	BY_PROCESS,
	BY_RESOLVER,
	BY_INSTRUCTION,
	NR_GROUPINGS
};

/* Faults that have something in common. */
struct group {
	uint64_t key, key2; /* identity: numbers that depend on the grouping */
	uint64_t faults, kinds[4], max_ns;
	uint64_t sampled;   /* faults at the last sample */
	uint64_t rate;	    /* a second, between the last two samples */
	const char *op;	    /* of the last fault, as the rest; a static string, or NULL */
	uint64_t ip;	    /* UFFDCTL_UNKNOWN */
	uint32_t mapping;   /* its number, 0 if not known */
	pid_t pid, tid;	    /* who waited */
	pid_t resolver_pid; /* 0: nobody */
	enum uffdctl_end end;
	char comm[16], resolver_comm[16];
	uint32_t buckets[UFFDCTL_NR_BUCKETS]; /* waits, as in struct uffdctl_watch_stats */
	uint32_t next;			      /* of the same hash; an index, 0 for none */
	uint32_t newer, older;		      /* by last fault */
};

struct groups {
	struct group rows[VIEW_MAX_GROUPS + 1]; /* the first: (others), of those that had to make room */
	uint32_t heads[VIEW_NR_HEADS];
	uint32_t nr, newest, oldest;
	uint64_t nr_dropped;
};

struct mapping {
	uint32_t id;		    /* its slot, and above that a number that is not used again; 0: free */
	pid_t pid;		    /* whose memory */
	struct uffdctl_range range; /* empty: known by its name from a fault only */
	uint64_t page_size, modes, offset;
	uint64_t hash; /* of pid and name */
	uint64_t faults;
	uint64_t last_ns;	 /* when it was last seen */
	uint32_t look;		 /* the number of the look that showed it */
	unsigned int cell_shift; /* log2 of the bytes in a cell of heat */
	bool hot;		 /* some heat is left */
	char name[VIEW_NAME];	 /* raw */
	char holders[64];	 /* "PID:FD …" */
	float heat[VIEW_NR_CELLS];
};

struct sample {
	uint64_t ns;
	uint64_t faults[4];
};

struct event {
	uint64_t start_ns, wait_ns, addr;
	pid_t pid, tid, resolver_pid;
	uint32_t mapping;
	uint64_t offset;
	enum uffdctl_kind kind;
	enum uffdctl_access access;
	enum uffdctl_end end;
	const char *op;
	char comm[16], resolver_comm[16];
};

struct waiter {
	pid_t pid, tid, target_pid;
	uint64_t addr, offset;
	uint64_t slept_ns; /* when it was looked at: it may have gone on since */
	enum uffdctl_kind kind;
	enum uffdctl_access access;
	enum uffdctl_wait_state state;
	pid_t holder_pid; /* 0: none is known */
	int holder_fd;
	char comm[16];
	char name[VIEW_NAME]; /* "" also where it is not known */
};

struct target {
	pid_t pid;
	bool gone;
	char comm[64]; /* escaped */
};

/* What is looked up from time to time, apart from the stream. */
struct look {
	uint64_t ns; /* when; 0: not yet */
	uint32_t number;
	size_t nr_targets, nr_waiters, nr_mappings;
	uint64_t nr_waiting; /* more than nr_waiters where there was no room */
	struct target targets[VIEW_MAX_TARGETS];
	struct waiter waiters[VIEW_MAX_WAITERS]; /* longest first */
	struct mapping_info {
		pid_t pid;
		struct uffdctl_range range;
		uint64_t page_size, modes, offset;
		char name[VIEW_NAME], holders[64];
	} mappings[VIEW_MAX_MAPPINGS];
};

struct model {
	uint64_t began_ns, now_ns;
	char backend[16];
	struct uffdctl_watch_stats stats;
	uint64_t total;				/* faults that have ended, or wait */
	struct sample samples[VIEW_NR_SAMPLES]; /* a ring */
	uint64_t nr_samples;
	struct groups groups[NR_GROUPINGS];
	struct mapping mappings[VIEW_MAX_MAPPINGS];
	uint16_t by_addr[VIEW_MAX_MAPPINGS]; /* slots of those that are there now, by pid and address */
	size_t nr_by_addr, last_slot;
	uint32_t last_id;
	bool want_look;			     /* a fault was in a mapping that is not known */
	struct event events[VIEW_NR_EVENTS]; /* a ring */
	uint64_t nr_events;
	struct look look;	      /* the last; its mappings are in the above */
	pid_t seen[VIEW_MAX_TARGETS]; /* whose memory faults were in */
	size_t nr_seen;
};

/* A model is calloc(1, sizeof(struct model)) and this. */
void model_init(struct model *m, uint64_t now_ns, const char *backend);
/* A fault that has ended. Costs the same however many there were. */
void model_fault(struct model *m, const struct uffdctl_fault *f);
/* Totals; once a second they become a sample, rates are reckoned and heat decays. */
void model_tick(struct model *m, uint64_t now_ns, const struct uffdctl_watch_stats *st);
void model_look(struct model *m, const struct look *look);
/* Totals of the faults that the model was told of: no more, no fewer than its rows have. */
void model_sum(const struct model *m, struct uffdctl_watch_stats *st);
/* To look at: nothing can be added to a copy. */
void model_copy(struct model *to, const struct model *from);

/* The mapping with this number, or NULL when it had to make room. */
const struct mapping *model_mapping(const struct model *m, uint32_t id);
/* The mapping of an address, or NULL. */
const struct mapping *model_find(const struct model *m, pid_t pid, uint64_t addr);
bool mapping_is_there(const struct model *m, const struct mapping *map);

/* Faults a second: all, or of one kind (0 minor, …); UFFDCTL_UNKNOWN before there are two samples. */
uint64_t model_rate(const struct model *m, int kind);
/* Faults a second in each of the last n seconds, oldest first; returns how many are known. */
size_t model_rates(const struct model *m, uint64_t *rates, size_t n);
/* As totals_percentile(), of a group. */
uint64_t group_percentile(const struct group *g, double p);

#endif
