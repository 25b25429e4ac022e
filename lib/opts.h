/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Structs that begin with their size: those of callers that were built with another version of the header. */
#ifndef UFFDCTL_OPTS_H
#define UFFDCTL_OPTS_H

#include "lib/context.h"

/*
 * Check that nothing follows the last member: callers leave padding uninitialised, and a later version may put a member
 * there.
 */
#define OPTS_CHECK(type, last)                                                                                \
	_Static_assert(offsetof(struct type, last) + sizeof(((struct type *)0)->last) == sizeof(struct type), \
		       "padding at the end of struct " #type)

/*
 * Copy what a caller gives into a struct as we know it; what it does not have becomes 0.
 * @opts: NULL: all members are 0
 * -EINVAL: without a size; -E2BIG: with a member set that we do not know; both are logged.
 */
int opts_get(struct uffdctl *u, const void *opts, void *ret, size_t size);
#define OPTS_GET(u, opts, ret) opts_get(u, opts, ret, sizeof(*(ret)))

/* Check that the struct to fill has its size set; otherwise -EINVAL, logged. */
int out_check(struct uffdctl *u, const void *out);
/* Fill it; what it has and we do not know becomes UFFDCTL_UNKNOWN. */
void out_put(const void *from, size_t size, void *out);
#define OUT_PUT(from, out) out_put(from, sizeof(*(from)), out)

#endif
