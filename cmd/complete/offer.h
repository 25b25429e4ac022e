/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What fits behind the words so far, one a line for the shell's function. */
#ifndef CMD_COMPLETE_OFFER_H
#define CMD_COMPLETE_OFFER_H

#include "cmd/command.h"
#include "cmd/complete/line.h"

/* What completes the last word, and what is known from those before it. */
struct offer {
	struct invocation *inv;
	const struct line *line;
	bool bash;	       /* quoted for it; zsh quotes by itself */
	const char *word;      /* the last one, without quotes */
	size_t before;	       /* length of its first part, which is no part of the value: --output=CTX, */
	const struct cmd *cmd; /* NULL: none yet */
	const char *process;   /* the first PID or %NAME of the line, or NULL */
};

enum offer_flags {
	OFFER_GOES_ON = 1 << 0, /* no blank behind it */
	OFFER_TEXT = 1 << 1,	/* the text is for bash too, which shows no texts of its own */
};

/* Print it if what was typed begins it. @text: what it is, escaped, or NULL */
void offer(const struct offer *o, const char *value, unsigned int flags, const char *text);
/* Let the shell complete names of files. */
void offer_files(void);

/* Processes that hold a userfaultfd, or whose memory is governed by one, with their names. */
void offer_pids(const struct offer *o);
/* Names of the process's mappings, addresses of its registered ones, and "all". */
void offer_ranges(const struct offer *o);
/* Its userfaultfds, as --fd takes them. */
void offer_fds(const struct offer *o);

#endif
