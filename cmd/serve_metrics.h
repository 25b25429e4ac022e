/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What serve does, in the text format of Prometheus. */
#ifndef CMD_SERVE_METRICS_H
#define CMD_SERVE_METRICS_H

#include <stdio.h>

#include "lib/uffdctl.h"

/* A process that is served. */
struct serve_metrics {
	const char *process; /* its name */
	pid_t pid;	     /* 0: there is only one, and the name says it */
	struct uffdctl_serve_stats stats;
};

struct serve_metrics_list {
	struct serve_metrics *items;
	size_t nr;
};

/* @data: a struct serve_metrics_list */
void serve_metrics_put(FILE *f, void *data);

#endif
