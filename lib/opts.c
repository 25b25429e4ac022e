// SPDX-License-Identifier: LGPL-2.1-or-later
/* Structs that begin with their size: those of callers that were built with another version of the header. */
#include <errno.h>
#include <string.h>

#include "lib/log.h"
#include "lib/opts.h"
#include "lib/util.h"

static size_t size_of(const void *s)
{
	return *(const size_t *)s;
}

static int check_size(struct uffdctl *u, const void *s)
{
	if (size_of(s) >= sizeof(size_t))
		return 0;
	return fail(u, -EINVAL, "the caller did not set the size of a struct: .size = sizeof(...) (see libuffdctl(3))");
}

int opts_get(struct uffdctl *u, const void *opts, void *ret, size_t size)
{
	const char *given = opts;
	int r = opts ? check_size(u, opts) : 0;

	if (r < 0)
		return r;
	memset(ret, 0, size);
	if (opts)
		memcpy(ret, opts, MIN(size_of(opts), size));
	for (size_t i = size; opts && i < size_of(opts); i++)
		if (given[i])
			return fail(u, -E2BIG, "an option is set that libuffdctl %s does not know: use a newer one",
				    UFFDCTL_VERSION);
	memcpy(ret, &size, sizeof(size));
	return 0;
}

int out_check(struct uffdctl *u, const void *out)
{
	return check_size(u, out);
}

void out_put(const void *from, size_t size, void *out)
{
	size_t wanted = size_of(out), known = size < wanted ? size : wanted;

	memcpy(out, from, known);
	memset((char *)out + known, 0xff, wanted - known);
	*(size_t *)out = wanted;
}
