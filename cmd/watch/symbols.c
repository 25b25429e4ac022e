// SPDX-License-Identifier: GPL-2.0-or-later
/* The text of instructions; the look-up thread starts with the first one. */
#include <stddef.h>

#include "cmd/watch/symbols.h"

const char *symbols_get(struct symbols *s, pid_t pid, uint64_t ip, int timeout_ms)
{
	const char *text;

	if (ip == UFFDCTL_UNKNOWN)
		return NULL;
	if (!s->cache && uffdctl_symbols_new(s->u, s->flags, &s->cache) < 0)
		return NULL;
	return uffdctl_symbols_get(s->cache, pid, ip, timeout_ms, &text) == 0 ? text : NULL;
}

void symbols_end(struct symbols *s)
{
	uffdctl_symbols_free(s->cache);
	s->cache = NULL;
}
