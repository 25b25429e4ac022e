/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of instructions; the look-up thread starts with the first one. */
#ifndef CMD_WATCH_SYMBOLS_H
#define CMD_WATCH_SYMBOLS_H

#include <sys/types.h>

#include "lib/uffdctl.h"

/* Initialise with zeros, u and flags; end with symbols_end(). */
struct symbols {
	struct uffdctl *u;
	unsigned int flags; /* UFFDCTL_SYMBOLS_* */
	struct uffdctl_symbols *cache;
};

/* The text of the instruction, if it is known within this time, otherwise NULL. Raw. Valid until the next call. */
const char *symbols_get(struct symbols *s, pid_t pid, uint64_t ip, int timeout_ms);
void symbols_end(struct symbols *s);

#endif
