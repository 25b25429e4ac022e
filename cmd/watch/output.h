/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How faults and totals are shown: an output form is a struct of functions. */
#ifndef CMD_WATCH_OUTPUT_H
#define CMD_WATCH_OUTPUT_H

#include "cmd/watch/options.h"
#include "cmd/watch/symbols.h"
#include "lib/uffdctl.h"

/* What is being watched, and how. */
struct watch_session {
	struct uffdctl *u;
	struct messages *messages;
	struct uffdctl_watch *watch;
	const char *backend;
	const struct watch_options *options;
	struct symbols symbols;
	bool headings, color;
};

struct watch_output {
	/* Can it be had, and do the options want it? NULL: it can be had anywhere. */
	bool (*fits)(const struct watch_options *o);
	/* Before the first fault. @ret: what the others get as data. When it fails, none of them is called. */
	int (*begin)(struct watch_session *s, void **ret);
	/* A fault that has passed the filters. */
	void (*fault)(void *data, const struct uffdctl_fault *f);
	/* Wait for so long at most. NULL: wait for faults. Returns 1 to end, or a negative errno. */
	int (*wait)(void *data, int timeout_ms);
	/* All faults that ended until now were handed over: show what is due. NULL: it does so by itself. */
	int (*show)(void *data);
	/* Totals so far, each interval; NULL: it shows them by itself. */
	void (*totals)(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns);
	/* The last totals, or NULL when something failed. Frees data. */
	void (*end)(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns);
};

extern const struct watch_output output_json, output_lines, output_view;

/* How long a line waits for its symbol: enough for the first one of a large program. The stream has room meanwhile. */
#define SYMBOL_MS 300

#endif
