/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cleanup attributes for our own memory and descriptors. Changes in a target are undone explicitly. */
#ifndef UFFDCTL_CLEANUP_H
#define UFFDCTL_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

/* Hand a resource on: the value, and the variable emptied. */
#define steal_ptr(p)                    \
	__extension__({                 \
		__typeof__(p) _p = (p); \
		(p) = NULL;             \
		_p;                     \
	})
#define steal_fd(fd)            \
	__extension__({         \
		int _fd = (fd); \
		(fd) = -1;      \
		_fd;            \
	})

#endif
