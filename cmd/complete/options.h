/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of a command, from the tables that parse them. */
#ifndef CMD_COMPLETE_OPTIONS_H
#define CMD_COMPLETE_OPTIONS_H

#include "cmd/command.h"

struct option_list {
	const struct argp_option *items[96];
	size_t nr;
};

/* @cmd: NULL: the options before the command; help is one of these that no command needs */
void options_of(const struct cmd *cmd, struct option_list *ret);
/* @name: may be shortened, as long as that is unique; NULL: there is none */
const struct argp_option *option_named(const struct option_list *options, const char *name, size_t len);
const struct argp_option *option_lettered(const struct option_list *options, char letter);

static inline bool option_needs_value(const struct argp_option *o)
{
	return o->arg && !(o->flags & OPTION_ARG_OPTIONAL);
}

/*
 * The n-th word that the value of an option may be, or be a list of; NULL behind the last one, and for values of
 * another kind.
 */
const char *option_word(const struct argp_option *o, unsigned int n);
/* Are several words allowed, separated by commas? */
bool option_takes_several(const struct argp_option *o);

#endif
