/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Totals in the text format of Prometheus. */
#ifndef CMD_WATCH_METRICS_H
#define CMD_WATCH_METRICS_H

#include <stdio.h>

#include "cmd/watch/output.h"

struct process_name {
	pid_t pid;
	char name[16];
};

/* Zero to begin with, but for the session. */
struct metrics {
	struct watch_session *session;
	struct process_name *names;
	size_t nr_names;
};

void metrics_put(FILE *f, struct metrics *m, const struct uffdctl_watch_stats *st);
void metrics_end(struct metrics *m);

#endif
