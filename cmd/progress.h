/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Progress of long work on stderr: bar, rate, remaining time; and Ctrl-C. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdint.h>

#include "cmd/cmd.h"

/* --progress=auto|always|never */
extern const struct argp progress_argp;

/*
 * From now on Ctrl-C and the like stop the work cleanly instead of killing us.
 * @only_looks: SIGINT does so even where it was ignored
 */
void progress_begin(bool only_looks);

/* Callback of the library's. Returns non-zero once the work shall stop. */
int progress_show(void *data, uint64_t done_bytes, uint64_t total_bytes);

bool progress_interrupted(void);

/* Takes the bar off the terminal. */
void progress_end(void);

#endif
