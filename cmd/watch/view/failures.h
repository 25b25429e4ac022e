/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ioctls that failed: by thread, ioctl and error. */
#ifndef CMD_VIEW_FAILURES_H
#define CMD_VIEW_FAILURES_H

#include <stddef.h>

#include "lib/uffdctl.h"

enum {
	VIEW_MAX_FAILURES = 64,
};

/* Zero to begin with. The most frequent ones are first. */
struct failures {
	struct failure {
		struct uffdctl_failure_totals totals;
		uint64_t at_reset, count; /* count: since then */
	} list[VIEW_MAX_FAILURES];
	size_t nr;
};

/* Take the library's numbers: add each, and then sort. */
void failures_add(struct failures *fs, const struct uffdctl_failure_totals *t);
void failures_sort(struct failures *fs);
/* Count from now on. */
void failures_reset(struct failures *fs);
/* How many have a count: the first ones. */
size_t failures_nr(const struct failures *fs);

#endif
