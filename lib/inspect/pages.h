/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the pages of a target are. */
#ifndef UFFDCTL_PAGES_H
#define UFFDCTL_PAGES_H

#include "lib/kernel/target.h"

/* uffdctl_pages(); @all_or_none: nothing is passed on if a range can't be looked up. */
int pages_find(struct uffdctl_target *t, const struct uffdctl_pages_opts *opts, bool all_or_none);

#endif
