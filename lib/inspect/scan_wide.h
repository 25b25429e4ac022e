/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The entries of a page table, found by several threads. */
#ifndef UFFDCTL_SCAN_WIDE_H
#define UFFDCTL_SCAN_WIDE_H

#include "lib/kernel/pagescan.h"

/* As pagescan_next(). A long range is shared out among threads, which have ended when this returns. */
int scan_wide(struct pagescan *s, const struct uffdctl_vma *v, struct uffdctl_range range);

#endif
