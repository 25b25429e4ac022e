/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model of the view: groups of faults, mappings with their heat, samples, the last scan.
 *
 * One flat block without pointers into itself: a pause is a copy, and memory is limited. It does not depend on a
 * terminal.
 */
#ifndef CMD_VIEW_MODEL_H
#define CMD_VIEW_MODEL_H

#include <time.h>

#include "cmd/watch/view/failures.h"
#include "cmd/watch/view/groups.h"
#include "cmd/watch/view/mappings.h"
#include "cmd/watch/view/teams.h"

enum {
	VIEW_NR_SAMPLES = 61, /* a minute of seconds needs both its ends */
	VIEW_NR_EVENTS = 256,
};

enum grouping {
	BY_MAPPING,
	BY_THREAD,
	BY_TEAM,
	BY_PROCESS,
	BY_RESOLVER,
	BY_INSTRUCTION,
	NR_GROUPINGS
};

struct sample {
	uint64_t ns;
	uint64_t faults[NR_KINDS];
};

struct event {
	uint64_t start_ns, wait_ns, addr;
	pid_t pid, tid, resolver, reader;
	uint32_t mapping;
	uint64_t offset;
	enum uffdctl_kind kind;
	enum uffdctl_access access;
	enum uffdctl_end end;
	const char *op;
	char comm[16], resolver_comm[16], reader_comm[16];
};

struct model {
	uint64_t began_ns, now_ns;
	time_t reset_at; /* counts are since then; 0: since watching began */
	char backend[16];
	struct uffdctl_watch_stats stats;
	uint64_t total;				/* faults that have ended, or wait */
	struct sample samples[VIEW_NR_SAMPLES]; /* a ring */
	uint64_t nr_samples;
	struct counts all;		     /* the sum of the rows of each grouping */
	struct uffdctl_watch_stats last;     /* what came between the last two samples */
	struct uffdctl_watch_stats sampled;  /* stats at the last sample */
	struct uffdctl_watch_stats at_reset; /* totals since watching began, at that time */
	struct teams teams;
	struct failures failures;
	struct groups groups[NR_GROUPINGS];
	struct mappings mappings;
	struct event events[VIEW_NR_EVENTS]; /* a ring */
	uint64_t nr_events;
	struct scan scan;	      /* the last; its mappings are in the above */
	pid_t seen[VIEW_MAX_TARGETS]; /* whose memory faults were in */
	size_t nr_seen;
};

/* A model is calloc(1, sizeof(struct model)) and this. */
void model_init(struct model *m, uint64_t now_ns, const char *backend);
/* Add a fault that has ended. The cost does not depend on the number of faults. */
void model_fault(struct model *m, const struct uffdctl_fault *f);
/* Add totals; once a second they become a sample, rates are computed and heat decays. */
void model_tick(struct model *m, uint64_t now_ns, const struct uffdctl_watch_stats *st);
void model_scanned(struct model *m, const struct scan *scan);
/* Count from now on. @st: totals since watching began */
void model_reset(struct model *m, time_t now, const struct uffdctl_watch_stats *st);
/* Totals of exactly the faults that its rows count. */
void model_sum(const struct model *m, struct uffdctl_watch_stats *st);
/* A copy to show; nothing can be added to it. */
void model_copy(struct model *to, const struct model *from);

/* The mapping of an address, or NULL. */
const struct mapping *model_find(const struct model *m, pid_t pid, uint64_t addr);
/* The number of faults in the log, and one of them; the oldest is first. */
size_t model_nr_events(const struct model *m);
const struct event *model_event(const struct model *m, size_t i);

/* Faults a second: of one kind, by bit of the mode; -1: all; UFFDCTL_UNKNOWN before there are two samples. */
uint64_t model_rate(const struct model *m, int kind);
/* The seconds between the last two samples; 0 before there are two. */
unsigned int model_interval_s(const struct model *m);
/* Faults a second in each of the last n seconds, oldest first; returns how many are known. */
size_t model_rates(const struct model *m, uint64_t *rates, size_t n);

#endif
