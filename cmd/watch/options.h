/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of watch, as a struct that its parser fills. */
#ifndef CMD_WATCH_OPTIONS_H
#define CMD_WATCH_OPTIONS_H

#include "cmd/pids.h"

struct watch_options {
	struct pids pids;
	bool json, lines, summary_only, control, children, until_closed, by_mapping;
	bool source_lines; /* of instructions */
	uint64_t max_count, duration_ns;
	uint64_t interval_ns;	    /* 0: the default of the output form */
	uint64_t min_wait_ns;	    /* faults that waited less are shown in totals only */
	uint64_t modes;		    /* only faults of these; 0: all */
	enum uffdctl_access access; /* likewise; UFFDCTL_ACCESS_UNKNOWN: both */
	const char *metrics;	    /* --openmetrics; NULL: none */
	const char *listen;	    /* likewise, --listen */
	const char *backend;	    /* NULL: the best available one */
	const char *record;	    /* file; NULL: no recording */
	uint64_t record_size;	    /* of a file; 0: no limit */
	const char **ranges;	    /* as they were written; free with free() */
	size_t nr_ranges;
};

extern const struct argp_option watch_argp_options[];
extern const char *const watch_backends[]; /* ended by NULL */

/* For an argp parser; ARGP_ERR_UNKNOWN for other keys. */
error_t watch_options_parse(struct watch_options *o, int key, const char *arg, struct argp_state *state);
void watch_options_free(struct watch_options *o);

#endif
