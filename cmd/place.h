/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PID [RANGE...] as the arguments of a command that looks. */
#ifndef CMD_PLACE_H
#define CMD_PLACE_H

#include "cmd/command.h"

struct place {
	pid_t pid;
	const char *name;	       /* %NAME: its PID is still to be found */
	struct uffdctl_ranges *ranges; /* NULL: none given */
	struct uffdctl_target *target;
};

/* Records in a struct place. */
extern const struct argp place_argp;

/* Find the process, and open it. 0, or a negative errno, reported. */
int place_open(struct place *p, struct invocation *inv);
void place_close(struct place *p);

#endif
