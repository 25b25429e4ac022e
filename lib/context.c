// SPDX-License-Identifier: LGPL-2.1-or-later
/* Making and freeing a context. */
#include <errno.h>

#include "lib/context.h"

UFFDCTL_EXPORT const char *uffdctl_version(void)
{
	return UFFDCTL_VERSION;
}

UFFDCTL_EXPORT int uffdctl_new(struct uffdctl **ret)
{
	struct uffdctl *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->log_level = UFFDCTL_LOG_NOTICE;
	u->log_lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
	*ret = u;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_free(struct uffdctl *u)
{
	if (!u)
		return;
	if (u->iter)
		u->iter_close(u->iter);
	if (u->waiters)
		u->waiters_close(u->waiters);
	free(u->vmflags);
	free(u->last_error);
	pthread_mutex_destroy(&u->log_lock);
	free(u);
}

UFFDCTL_EXPORT void uffdctl_set_log(struct uffdctl *u, int level, uffdctl_log_fn fn, void *data)
{
	u->log_level = level;
	u->log_fn = fn;
	u->log_data = data;
}

UFFDCTL_EXPORT const char *uffdctl_last_error(const struct uffdctl *u)
{
	return u->last_error ?: "";
}
