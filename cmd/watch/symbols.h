/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of instructions, looked up from the first one on. */
#ifndef CMD_WATCH_SYMBOLS_H
#define CMD_WATCH_SYMBOLS_H

#include <sys/types.h>

#include "lib/uffdctl.h"

/* Zero but for u and flags to begin with; end with symbols_end(). */
struct symbols {
	struct uffdctl *u;
	unsigned int flags; /* UFFDCTL_SYMBOLS_* */
	struct uffdctl_symbols *cache;
};

/* What stands there, if that is known within so long; else NULL. Raw. Holds until the next call. */
const char *symbols_get(struct symbols *s, pid_t pid, uint64_t ip, int timeout_ms);
void symbols_end(struct symbols *s);

#endif
