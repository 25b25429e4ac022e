/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits that keep a thread from being started. */
#ifndef UFFDCTL_LIMITS_H
#define UFFDCTL_LIMITS_H

#include <stdbool.h>

struct uffdctl;

/*
 * Log that a thread could not be started, which limit is the cause, and what to type. To be called before others are
 * ended.
 * @err: of pthread_create(3), or of memory for a thread, negative
 * @what: the step
 * @several: -t says how many
 * Returns @err.
 */
int limits_fail_thread(struct uffdctl *u, int err, const char *what, bool several);

#endif
