/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands that resolve faults in bulk share: options, contents, columns, the sum. */
#ifndef CMD_RESOLVE_H
#define CMD_RESOLVE_H

#include "cmd/cmd.h"

/* One parser knows them all; which of them a command has is said by its tables of options. */
enum {
	OPT_WP = 0x300,
	OPT_NO_WAKE,
	OPT_FROM,
	OPT_FROM_ZERO,
	OPT_FORCE,
	OPT_BY_OFFSET,
	OPT_ELSEWHERE,
};
error_t resolve_parse(int key, char *arg, struct argp_state *state);

/* --threads, --no-wake */
extern const struct argp work_argp;
/* --from, --from-zero, --by-offset: for what is there, or for what is missing */
extern const struct argp fill_argp, contents_argp;

void col_mapped(const void *row, struct cell *ret);
void col_already(const void *row, struct cell *ret);
void col_absent(const void *row, struct cell *ret);
void col_filled(const void *row, struct cell *ret);
void col_elsewhere(const void *row, struct cell *ret);

/* Of the commands that make pages. */
extern const struct column made_columns[];

typedef int (*resolve_fn)(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
			  const struct uffdctl_resolve_opts *opts, uffdctl_result_fn fn);

/* The whole of a command: opens, does, reports; returns its exit status. */
int run_resolve(resolve_fn fn, const char *why_absent);

#endif
