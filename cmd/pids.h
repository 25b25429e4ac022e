/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PID... as the arguments of a command. */
#ifndef CMD_PIDS_H
#define CMD_PIDS_H

#include "cmd/cmd.h"

extern pid_t *pids;
extern size_t nr_pids;

/* For ARGP_KEY_ARG. */
void pids_add(const char *arg, struct argp_state *state);

/* 1, reported, if one does not exist or may not be looked at: that is not one without userfaultfds. */
int pids_check(void);
void pids_free(void);

#endif
