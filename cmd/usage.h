/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors of usage, with arguments escaped: argp and getopt(3) print them as they are. */
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
 * Checks what getopt(3) would print by itself; to be called before it.
 * @in_order: end at the first argument that is not an option
 * -EINVAL, reported: an unknown option that is not fit to print.
 */
int usage_check(const struct argp *argp, int argc, char **argv, bool in_order, struct messages *m);

#endif
