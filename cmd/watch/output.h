/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Output forms of faults and totals: each is a struct of functions. */
#ifndef CMD_WATCH_OUTPUT_H
#define CMD_WATCH_OUTPUT_H

#include "cmd/watch/options.h"
#include "cmd/watch/by_mapping.h"
#include "cmd/watch/symbols.h"
#include "lib/uffdctl.h"

/*
 * Totals by team, by thread and by resolver, and of ioctls that failed, from another place than a watch; each as uffdctl_watch_team() and so on.
 * NULL: they are not known.
 */
struct parts_source {
	const struct uffdctl_team_totals *(*team)(void *data, size_t *at);
	const struct uffdctl_thread_totals *(*thread)(void *data, size_t *at);
	const struct uffdctl_resolver_totals *(*resolver)(void *data, size_t *at);
	const struct uffdctl_failure_totals *(*failure)(void *data, size_t *at);
	void *data;
};

/* The watched processes, and the backend. */
struct watch_session {
	struct uffdctl *u;
	struct messages *messages;
	struct uffdctl_watch *watch;
	const char *backend;
	const struct watch_options *options;
	struct symbols symbols;
	struct by_mapping *by_mapping;	  /* NULL: there is no stream */
	const struct parts_source *parts; /* totals by thread and so on; NULL: those of watch */
	bool headings, color;
	bool failed;   /* an output form has reported an error: the exit status says so */
	bool governed; /* a userfaultfd governed the memory when watching began */
};

struct watch_output {
	/* Is it available, and do the options ask for it? NULL: always available. */
	bool (*fits)(const struct watch_options *o);
	/* Called before the first fault. @ret: passed to the others as data. If this fails, none of them is called. */
	int (*begin)(struct watch_session *s, void **ret);
	/* A fault that has passed the filters. */
	void (*fault)(void *data, const struct uffdctl_fault *f);
	/* Wait for up to this time. NULL: wait for faults. Returns 1 to end, or a negative errno. */
	int (*wait)(void *data, int timeout_ms);
	/* All faults that have ended were passed on: show what is due. NULL: it does so by itself. */
	int (*show)(void *data);
	/* Called each interval with the totals; NULL: it shows them by itself. */
	void (*totals)(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns);
	bool stays; /* there is something to look at also when the processes have ended */
	/* The last totals, or NULL after a failure. Frees data. */
	void (*end)(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns);
};

extern const struct watch_output output_json, output_lines, output_listen, output_metrics, output_record, output_view;

/* A fault as a line; @data: of output_lines. */
void lines_put_fault(void *data, const struct uffdctl_fault *f, const char *symbol);

/* A fault as an object, as a line of JSON has it. */
struct json_object *fault_object(const struct uffdctl_fault *f, const char *symbol);

/*
 * How long a line waits for its symbol: long enough for the first look-up in a large program. The stream has room for
 * the faults meanwhile.
 */
#define SYMBOL_MS 300

#endif
