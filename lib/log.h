/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages of the library, through the context's log function. */
#ifndef UFFDCTL_LOG_H
#define UFFDCTL_LOG_H

#include <errno.h>

#include "lib/context.h"

/* @err: what the failing function returns, or 0 */
void log_print(struct uffdctl *u, int level, int err, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Errors are kept, also if nobody gets them. */
static inline bool log_is_wanted(const struct uffdctl *u, int level)
{
	return !u->silent && (level <= u->log_level || level == UFFDCTL_LOG_ERROR);
}

#define log_at(u, lvl, ...) (log_is_wanted(u, lvl) ? log_print(u, lvl, 0, __VA_ARGS__) : (void)0)
#define log_error(u, ...) log_at(u, UFFDCTL_LOG_ERROR, __VA_ARGS__)
#define log_warning(u, ...) log_at(u, UFFDCTL_LOG_WARNING, __VA_ARGS__)
#define log_notice(u, ...) log_at(u, UFFDCTL_LOG_NOTICE, __VA_ARGS__)
#define log_info(u, ...) log_at(u, UFFDCTL_LOG_INFO, __VA_ARGS__)
#define log_debug(u, ...) log_at(u, UFFDCTL_LOG_DEBUG, __VA_ARGS__)

/* Log, and return err, so that a failing function ends in one statement. */
#define fail(u, err, ...)                                                   \
	__extension__({                                                     \
		int _err = (err);                                           \
		if (log_is_wanted(u, UFFDCTL_LOG_ERROR))                    \
			log_print(u, UFFDCTL_LOG_ERROR, _err, __VA_ARGS__); \
		_err;                                                       \
	})

#define TEXT_PROC "/proc is not mounted, or belongs to another pid namespace: mount the one of this pid namespace"

static inline int log_oom(struct uffdctl *u)
{
	return fail(u, -ENOMEM, "out of memory");
}

#endif
