/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The working sets of serve: --record-set, --prefetch-set. */
#ifndef CMD_SERVE_SET_H
#define CMD_SERVE_SET_H

#include <argp.h>

#include "cmd/command.h"

struct serve_set_options {
	const char *record, *prefetch;
	uint64_t time_ns, bytes; /* 0: not given */
};

/* Records in a struct serve_set_options. */
extern const struct argp serve_set_argp;

/*
 * Before anything is served: set what opts has of these options, and check that the file can be written.
 * @ret: out, the set to prefetch, or NULL; free with uffdctl_workset_free()
 * 0 or a negative errno, reported.
 */
int serve_set_open(struct invocation *inv, const struct serve_set_options *o, struct uffdctl_serve_opts *opts,
		   struct uffdctl_workset **ret);

/* Write what was recorded. 0 or a negative errno, reported. */
int serve_set_write(struct invocation *inv, const struct serve_set_options *o, struct uffdctl_serve *s);

#endif
