/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which faults of a recording are reported. */
#ifndef CMD_REPORT_FILTER_H
#define CMD_REPORT_FILTER_H

#include <stdbool.h>

#include "lib/uffdctl.h"

/* A range of addresses, or the mappings whose names match a pattern. */
struct filter_range {
	struct uffdctl_range range;
	const char *glob; /* NULL: the range */
};

/* A thread, or the threads whose names match a pattern. */
struct filter_thread {
	pid_t tid; /* 0: the pattern */
	const char *glob;
};

#define MAX_FILTERS 64

/* Zero: all faults. */
struct filter {
	bool has_time;
	uint64_t from_ns, to_ns; /* after watching began */
	struct filter_range ranges[MAX_FILTERS];
	struct filter_thread threads[MAX_FILTERS];
	size_t nr_ranges, nr_threads;
};

/* Each: 0 or -EINVAL; -ENOSPC: there are too many. Strings are kept. */
int filter_add_time(struct filter *f, const char *text);
int filter_add_range(struct filter *f, const char *text);
int filter_add_thread(struct filter *f, const char *text);

bool filter_is_empty(const struct filter *f);
bool filter_takes(const struct filter *f, const struct uffdctl_fault *fault, uint64_t began_ns);

#endif
