/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands that drive a process have in common: PID RANGE..., the userfaultfd, results. */
#ifndef CMD_DRIVE_H
#define CMD_DRIVE_H

#include "cmd/command.h"
#include "cmd/result.h"

struct drive_options {
	pid_t pid;
	struct uffdctl_ranges *ranges;
	pid_t holder; /* -f PID:FD; 0: the process itself */
	int fd;	      /* -1: to be chosen */
	bool handshake;
	unsigned int flags; /* UFFDCTL_DRY_RUN, _NO_WAKE, … */
	uint64_t wait_lock_ns;
};

/* All record in a struct drive_options. */
extern const struct argp drive_argp;	 /* PID RANGE..., --fd, --dry-run */
extern const struct argp handshake_argp; /* --handshake: not for what needs something registered */
extern const struct argp lock_argp;	 /* --wait-lock: for what changes memory */

/* A command at work on a process. */
struct drive {
	struct invocation *inv;
	struct drive_options *options;
	const char *if_interrupted; /* what that means, unless the work says it */
	struct uffdctl_target *target;
	struct uffdctl_handle *handle;
	bool failed;
};

/*
 * The whole of a command: opens what the options name, has the work done, prints what became of it, frees all.
 * @work: returns 0, or a negative errno, reported
 * Returns an exit status.
 */
int run_drive(struct drive *d, int (*work)(struct drive *d));

/* Adds a row; data is a struct drive. */
void drive_result(void *data, const struct uffdctl_result *result);

#endif
