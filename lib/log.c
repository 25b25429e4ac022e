// SPDX-License-Identifier: LGPL-2.1-or-later
/* Messages of the library, through the context's log function. */
#include <stdarg.h>
#include <stdio.h>

#include "lib/log.h"

void log_print(struct uffdctl *u, int level, int err, const char *fmt, ...)
{
	int saved = errno;
	char *msg = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&msg, fmt, ap) < 0)
		msg = NULL;
	va_end(ap);
	pthread_mutex_lock(&u->log_lock);
	if (level == UFFDCTL_LOG_ERROR)
		u->last_errno = err;
	if (msg && u->log_fn && level <= u->log_level)
		u->log_fn(u->log_data, level, msg);
	if (level == UFFDCTL_LOG_ERROR) {
		free(u->last_error);
		u->last_error = msg;
	} else {
		free(msg);
	}
	pthread_mutex_unlock(&u->log_lock);
	errno = saved;
}
