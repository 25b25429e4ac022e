/* SPDX-License-Identifier: GPL-2.0-or-later */
/* uffdctl serve: its options, and what its parts share. */
#ifndef CMD_SERVE_H
#define CMD_SERVE_H

#include "cmd/contents.h"
#include "cmd/drive.h"
#include "cmd/http_server.h"
#include "cmd/metrics_file.h"
#include "cmd/progress.h"
#include "cmd/serve_map.h"
#include "cmd/serve_output.h"
#include "cmd/serve_set.h"
#include "cmd/serve_trial.h"

/* What becomes of the process when this command is no more. */
enum on_death {
	ON_DEATH_BY_SOURCE, /* release with --keep, otherwise hold */
	ON_DEATH_HOLD,
	ON_DEATH_RELEASE,
};

struct serve_options {
	struct drive_options drive;
	struct progress progress;
	struct contents_options contents;
	struct serve_map_options maps;
	struct serve_set_options set;
	struct serve_trial_options trial;
	bool keep;
	uint64_t flags; /* UFFDCTL_SERVE_* */
	uint64_t modes; /* register for these */
	bool has_modes;
	uint64_t rate;
	unsigned int around; /* pages */
	const char *state, *metrics, *listen;
	unsigned int nr_threads;
	enum uffdctl_on_error on_error;
	enum on_death on_death;
	const char *handoff; /* a socket */
	bool once;
	bool has_order;
};

/* What the options mean to the library. @contents: opened, if there are any */
struct uffdctl_serve_opts serve_opts(const struct serve_options *o, const struct uffdctl_action_opts *contents);
/* "keep", "file", "server", "zero" or "map" */
const char *serve_source_name(const struct serve_options *o, const struct uffdctl_action_opts *contents);

/* The process is d's. */
int do_serve(struct drive *d);

struct serving {
	struct drive drive; /* must be first: do_serve() gets a pointer to it and casts it back */
	const struct serve_options *options;
	struct uffdctl_action_opts contents; /* only what describes them */
	int opened;			     /* the contents: 0, or a negative errno, reported */
	struct serve_output out;
	struct metrics_file metrics;
	struct http_server *server;
	bool answers; /* atomic: its thread may ask for numbers */
	struct uffdctl_serve *serve;
	struct uffdctl_serve_stats stats;
	struct uffdctl_workset *prefetch; /* or NULL */
	uint8_t *stale;			  /* likewise */
	bool records;			  /* what is touched is still to be written */
};

/* serve_command.c: serve -- COMMAND. Returns an exit status. */
int run_command_served(struct serving *sv);

/* serve_handoff.c: --handoff. Returns an exit status. */
int run_handoff(struct invocation *inv, const struct uffdctl_action_opts *contents);

extern const char *const on_error_words[], *const on_death_words[], *const order_words[]; /* ended by NULL */

#endif
