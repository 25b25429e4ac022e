/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands that resolve faults in bulk share: options, contents, columns, the sum. */
#ifndef CMD_RESOLVE_H
#define CMD_RESOLVE_H

#include "cmd.h"

/* Set by the options below; a command's own may add flags. */
extern struct uffdctl_resolve_opts resolve_opts;

/* --threads, --no-wake */
extern const struct argp work_argp;

/* --from, --from-zero */
extern const struct argp contents_argp;
bool contents_given(void);

void col_mapped(const void *row, struct cell *ret);
void col_already(const void *row, struct cell *ret);
void col_absent(const void *row, struct cell *ret);

/* Of the commands that make pages. */
extern const struct column made_columns[];

typedef int (*resolve_fn)(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges,
			  const struct uffdctl_resolve_opts *opts, uffdctl_result_fn fn);

/* The whole of a command: opens, does, reports; returns its exit status. */
int run_resolve(resolve_fn fn, const char *why_absent);

#endif
