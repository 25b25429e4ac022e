/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the dresses of watch share: how faults and totals are shown. */
#ifndef CMD_WATCH_H
#define CMD_WATCH_H

#include <stdint.h>

#include "cmd/cmd.h"

struct watch_options {
	bool summary_only, lines, control;
	bool source_lines;    /* of instructions */
	uint64_t interval_ns; /* 0: the dress's own */
	uint64_t min_wait_ns; /* faults that waited less are shown in totals only */
};
extern struct watch_options watch_options;

struct dress {
	/* Before the first fault. */
	int (*begin)(struct uffdctl_watch *w);
	/* A fault that has passed the filters. */
	void (*fault)(const struct uffdctl_fault *f);
	/* Wait for so long at most. NULL: wait for faults. Returns 1 to end, or a negative errno. */
	int (*wait)(int timeout_ms);
	/* All faults that ended until now were handed over: show what is due. NULL: it does so by itself. */
	int (*show)(struct uffdctl_watch *w);
	/* Totals so far, each interval; NULL: it shows them by itself. */
	void (*totals)(const struct uffdctl_watch_stats *st, uint64_t passed_ns, const char *backend);
	/* The last totals, or NULL when something failed. */
	void (*end)(const struct uffdctl_watch_stats *st, uint64_t duration_ns, const char *backend);
};
extern const struct dress dress_lines, dress_json, dress_view;

/* Are stdin and stdout a terminal that dress_view can draw on? */
bool view_usable(void);

/* What p of the waits did not exceed: a bucket's upper bound; UFFDCTL_UNKNOWN while there is none. */
uint64_t watch_percentile(const struct uffdctl_watch_stats *st, double p);
/* The text of an instruction, if it is known within so long; else NULL. Holds until the next call. */
const char *watch_symbol(pid_t pid, uint64_t ip, int timeout_ms);
uint64_t watch_sum(const uint64_t *n, int nr);
uint64_t watch_grown(uint64_t now, uint64_t last);
uint64_t watch_now_ns(void);

#endif
