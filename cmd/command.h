/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A command, and one call of it. */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include <argp.h>
#include <stddef.h>

#include "cmd/messages.h"
#include "cmd/table.h"
#include "lib/uffdctl.h"

enum {
	EXIT_DONE = 0,
	EXIT_UNDONE = 1, /* something was not done; stderr says what; pending -e: a thread waits */
	EXIT_USAGE = 2,
	EXIT_UNKNOWN = 3,	/* where 1 is an answer: it could not be found out; stderr says why */
	EXIT_INTERRUPTED = 130, /* a signal came before there was an answer */
};

/* Options that several commands share. */
struct option_group {
	const struct argp *argp; /* its input: the struct in which it records */
	size_t offset;		 /* in the command's own struct */
};

/* One call: what was parsed, and what it works with. */
struct invocation {
	const struct cmd *cmd;
	const struct cmd *const *cmds; /* all that --help lists */
	size_t nr_cmds;
	int argc; /* from the command's name on */
	char **argv;
	char name[32];	  /* "uffdctl list", as argp prints it */
	struct argp argp; /* what parses it */

	/* Options that mean the same everywhere (uffdctl(1), COMMON OPTIONS). */
	struct table_style style;
	int verbose;
	struct messages messages;
	int exit_failed; /* the exit status of a failure: EXIT_UNDONE, or EXIT_UNKNOWN */
	bool has_stdout;
	void (*on_sigpipe)(int sig); /* as we were started: SIG_DFL or SIG_IGN */

	struct uffdctl *context;
	const struct column *columns; /* those that an option chose instead of the command's; NULL: none did */
	struct table *table;	      /* NULL: the command has no columns */
	void *options;		      /* the command's own */
};

/*
 * Parsers record, and return the reason to stop parsing: ENOMEM; ECANCELED if everything that was asked for is
 * printed; otherwise a usage error, reported. At ARGP_KEY_ERROR they free what they recorded.
 */
struct cmd {
	const char *name;
	const char *summary; /* one line, for uffdctl --help */
	const char *args;    /* "PID RANGE..." */
	const struct argp_option *options;
	error_t (*parse)(int key, char *arg, struct argp_state *state); /* its input: the command's own struct */
	const struct option_group *groups;
	size_t options_size; /* of the command's own struct, zeroed before parsing */
	const struct column *columns,
		*more_columns;		    /* of its listing, and of that listing's second or other list, or NULL */
	bool acts;			    /* it changes processes: also when nobody reads its output */
	int (*run)(struct invocation *inv); /* returns an exit status */
};

extern const struct cmd cmd_continue, cmd_copy, cmd_doctor, cmd_list, cmd_pages, cmd_peek, cmd_pending, cmd_poison,
	cmd_register, cmd_report, cmd_rwprotect, cmd_serve, cmd_set, cmd_smaps, cmd_unregister, cmd_wake, cmd_watch,
	cmd_writeprotect, cmd_zap, cmd_zeropage;
/* For completion in shells: not listed. */
extern const struct cmd cmd_complete;

#endif
