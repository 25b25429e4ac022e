/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Progress of long work on stderr: bar, rate, remaining time. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdint.h>
#include <time.h>

#include "cmd/values.h"

struct progress {
	enum when when; /* --progress */
	struct timespec began;
	bool shown;
};

/* --progress=auto|always|never; records in a struct progress. */
extern const struct argp progress_argp;

void progress_begin(struct progress *p);
/* Since then. */
double progress_seconds(const struct progress *p);
void progress_show(struct progress *p, uint64_t done_bytes, uint64_t total_bytes);
/* Remove the bar from the terminal. */
void progress_end(struct progress *p);

#endif
