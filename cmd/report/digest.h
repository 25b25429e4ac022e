/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a report says of the faults of a recording, collected while they are read. */
#ifndef CMD_REPORT_DIGEST_H
#define CMD_REPORT_DIGEST_H

#include "cmd/report/tallies.h"
#include "cmd/report/recording.h"
#include "cmd/watch/by_mapping.h"
#include "cmd/watch/output.h"

/* One of the longest waits. */
struct long_wait {
	struct uffdctl_fault fault; /* with the copies for its strings */
	char *name, *op, *symbol;
};

struct digest {
	struct recording *recording;
	struct tallies resolvers, mappings, threads, instructions;
	struct long_wait *longest; /* in order */
	size_t nr_longest, max_longest;
	uint64_t faults[UFFDCTL_MAX_MODES], ended[UFFDCTL_MAX_ENDS];
	uint64_t unknown_waits, sum_wait_ns;
	bool out_of_memory;	    /* a fault is not among the longest for want of it */
	uint64_t first_ns, last_ns; /* when faults began, after watching began */
	struct waits waits[NR_WAITS];

	/* Known after digest_finish(): what the functions of a summary want. */
	struct watch_session session;
	struct parts_source parts;
	struct by_mapping *by_mapping;
	struct uffdctl_watch_stats stats;
	uint64_t duration_ns;
	struct uffdctl_resolver_totals resolver; /* the last one handed out */
	struct uffdctl_thread_totals thread;
};

/* @top: how many of the longest waits are kept; -ENOMEM */
int digest_init(struct digest *d, struct recording *r, size_t top);
/* For recording_read(); data is a struct digest. */
void digest_add(void *data, const struct uffdctl_fault *f, const char *symbol);
/* All faults have been read. -ENOMEM */
int digest_finish(struct digest *d);
void digest_free(struct digest *d);

#endif
