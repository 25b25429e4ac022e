/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What serve does, in the text format of Prometheus. */
#ifndef CMD_SERVE_METRICS_H
#define CMD_SERVE_METRICS_H

#include <stdio.h>

#include "lib/uffdctl.h"

struct serve_metrics {
	const char *process; /* the name of the target */
	const struct uffdctl_serve_stats *stats;
};

/* @data: a struct serve_metrics */
void serve_metrics_put(FILE *f, void *data);

#endif
