/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PID... as the arguments of a command. */
#ifndef CMD_PIDS_H
#define CMD_PIDS_H

#include "cmd/command.h"

struct pids {
	pid_t *list;	    /* NULL: none given */
	const char **names; /* of those that were given by name */
	size_t nr;
	struct uffdctl_target **held; /* from the first check on */
};

/* Records in a struct pids. */
extern const struct argp pids_argp;

/* Find the PID of this name, unless it is NULL. 0, or a negative errno, reported. */
int pid_find(struct invocation *inv, const char *name, pid_t *ret);
/* The same for all. */
int pids_find(struct pids *p, struct invocation *inv);
/* Find them: are they all there, and may they be inspected? 0, or a negative errno, reported. */
int pids_check(struct pids *p, struct invocation *inv);
void pids_free(struct pids *p);

#endif
