// SPDX-License-Identifier: LGPL-2.1-or-later
/* Making and freeing a context; its log. */
#include <stdarg.h>

#include "lib/inspect/pending.h"
#include "lib/kernel/iter.h"
#include "lib/log.h"

UFFDCTL_EXPORT int uffdctl_new(struct uffdctl **ret)
{
	struct uffdctl *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->log_level = UFFDCTL_LOG_NOTICE;
	*ret = u;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_free(struct uffdctl *u)
{
	if (!u)
		return;
	iter_close(u->iter);
	pending_close(u->pending);
	free(u->vmflags);
	free(u);
}

UFFDCTL_EXPORT void uffdctl_set_log(struct uffdctl *u, int level, uffdctl_log_fn fn, void *data)
{
	u->log_level = level;
	u->log_fn = fn;
	u->log_data = data;
}

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
