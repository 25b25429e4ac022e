/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The common part of the commands that resolve faults in bulk: options, columns, progress, the summary. */
#ifndef CMD_RESOLVE_H
#define CMD_RESOLVE_H

#include "cmd/contents.h"
#include "cmd/drive.h"
#include "cmd/progress.h"

struct resolve_options {
	struct drive_options drive;
	struct contents_options contents;
	struct progress progress;
	unsigned int nr_threads;
};

/* These record in a struct resolve_options: --threads and --no-wake; the options of a command below. */
extern const struct argp work_argp;
error_t parse_resolve(int key, char *arg, struct argp_state *state);
enum {
	OPT_WP = 0x300,
	OPT_FORCE,
	OPT_OFF,
};

/* clang-format off */
#define RESOLVE_GROUPS \
	{ &work_argp, 0 }, \
	{ &drive_argp, offsetof(struct resolve_options, drive) }, \
	{ &lock_argp, offsetof(struct resolve_options, drive) }, \
	{ &progress_argp, offsetof(struct resolve_options, progress) }
/* clang-format on */

typedef int (*resolve_fn)(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
			  const struct uffdctl_action_opts *opts);

struct resolve_words {
	const char *done; /* "mapped": what happened to bytes */
	const char *why_absent;
};

/* Run a whole command whose options are a struct resolve_options; returns an exit status. */
int run_resolve(struct invocation *inv, resolve_fn fn, const struct resolve_words *words);

#endif
