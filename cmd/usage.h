/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors of usage. argp and getopt(3) would print arguments as they are: here they are escaped. */
#ifndef CMD_USAGE_H
#define CMD_USAGE_H

#include <argp.h>
#include <stdbool.h>

#include "cmd/messages.h"

/* Instead of argp_error(); returns EINVAL, for the parser to return. */
error_t usage_error(const struct argp_state *state, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));
#pragma GCC poison argp_error argp_failure

/*
 * What getopt(3) would print by itself is checked before.
 * @in_order: what is behind the first argument that is no option is somebody else's
 * -EINVAL, reported: an argument that is not fit to print is no option.
 */
int usage_check(const struct argp *argp, int argc, char **argv, bool in_order, struct messages *m);

#endif
