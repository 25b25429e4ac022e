// SPDX-License-Identifier: LGPL-2.1-or-later
/* Decides where the data comes from: BPF or /proc. */
#include <errno.h>

#include "lib/kernel/iter.h"
#include "lib/kernel/source.h"

int source_choose(struct uffdctl *u, enum uffdctl_source wanted, enum uffdctl_source *ret, const char **why)
{
	struct iter *it;
	int r = wanted == UFFDCTL_SOURCE_PROC ? -EOPNOTSUPP : iter_get(u, &it);

	if (r < 0 && (wanted == UFFDCTL_SOURCE_BPF || iter_is_shortage(r)))
		return r;
	*ret = r < 0 ? UFFDCTL_SOURCE_PROC : UFFDCTL_SOURCE_BPF;
	if (why)
		*why = r < 0 && wanted == UFFDCTL_SOURCE_AUTO ? iter_why(u, r) : NULL;
	return 0;
}
