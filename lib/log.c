// SPDX-License-Identifier: LGPL-2.1-or-later
/* Messages of the library, through the context's log function. */
#include <stdarg.h>
#include <stdio.h>

#include "lib/log.h"

void log_print(struct uffdctl *u, int level, const char *fmt, ...)
{
	_cleanup_free_ char *msg = NULL;
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	if (u->log_fn && vasprintf(&msg, fmt, ap) >= 0)
		u->log_fn(u->log_data, level, msg);
	va_end(ap);
	errno = saved;
}
