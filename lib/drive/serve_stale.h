/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: a bitmap says which pages in the page cache are stale: only these are filled. */
#ifndef UFFDCTL_SERVE_STALE_H
#define UFFDCTL_SERVE_STALE_H

#include "lib/drive/serving.h"

/* After the states were found: all pages that are not marked need nothing. Failures are logged. */
int stale_apply(struct uffdctl_serve *s);

static inline bool stale_is_given(const struct uffdctl_serve *s)
{
	return s->opts.stale || s->opts.stale_context;
}

#endif
