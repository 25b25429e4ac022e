/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that mean the same in every command. */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include "cmd/command.h"
#include "cmd/usage.h"

/* For parsers: the call whose arguments are being parsed, of which argp_parse() was given the argp. */
static inline struct invocation *invocation_of(const struct argp_state *state)
{
	return (struct invocation *)((char *)state->root_argp - offsetof(struct invocation, argp));
}

void options_default(struct invocation *inv);

/* All record in the invocation. */
extern const struct argp common_argp;
extern const struct argp table_argp;   /* --output and so on, for commands with columns */
extern const struct argp columns_argp; /* --list-columns, likewise: the command is known */
extern const struct argp help_argp;    /* --help, --usage, --version: argp's own versions would exit */

#endif
