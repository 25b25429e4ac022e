/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of serve for trials: --delay, --jitter, --fail-page, --verify; and --stale. */
#ifndef CMD_SERVE_TRIAL_H
#define CMD_SERVE_TRIAL_H

#include <argp.h>

#include "cmd/serve_output.h"

struct serve_trial_options {
	uint64_t delay_ns, jitter_ns;
	struct uffdctl_ranges *fail; /* NULL: none */
	bool verify;
	const char *stale; /* NULL: not given */
};

/* Records in a struct serve_trial_options. */
extern const struct argp serve_trial_argp;

/*
 * Set what opts has of these options.
 * @ret_stale: out, what opts->stale is; free with free()
 * 0 or a negative errno, reported.
 */
int serve_trial_open(struct invocation *inv, const struct serve_trial_options *o, struct uffdctl_serve_opts *opts,
		     uint8_t **ret_stale);

/* After it has ended: verify, and print what is found. 0 or a negative errno, reported. */
int serve_verify(struct serve_output *out, struct uffdctl_serve *s);

#endif
