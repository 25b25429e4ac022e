/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The common part of the commands that drive a process: PID RANGE..., the userfaultfd, results. */
#ifndef CMD_DRIVE_H
#define CMD_DRIVE_H

#include "cmd/command.h"
#include "cmd/result.h"

struct drive_options {
	pid_t pid;
	const char *name; /* %NAME: its PID is still to be found */
	struct uffdctl_ranges *ranges;
	bool needs_no_range;	 /* the command has other ranges; its parser sets it */
	bool all_by_default;	 /* RANGE may be missing; the command's parser sets it */
	bool takes_command;	 /* RANGE... -- COMMAND [ARG...] is another form; the command's parser sets it */
	int nr_quoted;		 /* arguments behind "--" */
	char **command;		 /* NULL: not in this form; ended by NULL */
	bool finds_no_target;	 /* there is no PID and no RANGE; the command's parser sets it, too */
	bool has_fd;		 /* -f */
	pid_t holder;		 /* -f PID:FD; 0: the process itself */
	const char *holder_name; /* -f %NAME:FD */
	int fd;
	bool handshake;
	bool inject;	    /* if there is no userfaultfd */
	bool inject_own;    /* and only we hold it */
	unsigned int flags; /* UFFDCTL_ACTION_* */
	uint64_t wait_lock_ns;
};

/* All record in a struct drive_options. */
extern const struct argp drive_argp;  /* PID RANGE..., --fd, --dry-run */
extern const struct argp memory_argp; /* the same without --fd: for commands that need no userfaultfd */
extern const struct argp lock_argp;   /* --wait-lock: for commands that change memory */

/* The state of a command that works on a process. */
struct drive {
	struct invocation *inv;
	struct drive_options *options;
	const char *if_interrupted; /* its meaning, unless the work reports it */
	bool needs_no_uffd;
	struct uffdctl_child *child; /* that is held: the process; NULL: it is found by its PID */
	struct uffdctl_target *target;
	struct uffdctl_handle *handle; /* NULL: needs_no_uffd */
	bool failed;
};

/*
 * Run a whole command: open what the options name, do the work, print the results, free everything.
 * @work: returns 0, or a negative errno, reported
 * Returns an exit status.
 */
int run_drive(struct drive *d, int (*work)(struct drive *d));

/* The options of an action whose results become rows. */
struct uffdctl_action_opts drive_opts(struct drive *d);

/* Add a row; data is a struct drive. */
void drive_result(void *data, const struct uffdctl_result *result);

#endif
