/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries of a page table of which pagemap does not show what they are: what smaps counts may tell. */
#ifndef UFFDCTL_UNSURE_H
#define UFFDCTL_UNSURE_H

#include "lib/kernel/pagescan.h"
#include "lib/kernel/target.h"

/*
 * What all entries with ENTRY_UNSURE of a mapping are: bits to take instead; ENTRY_UNSURE: that is not known. Nothing is
 * logged. Beneath: /proc/PID/smaps, beside the counts of pagescan.
 */
unsigned int unsure_entries(struct uffdctl_target *t, const struct uffdctl_vma *v, int pagemap);

#endif
