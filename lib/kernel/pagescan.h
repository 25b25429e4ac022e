/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The entries of a page table, as runs: PAGEMAP_SCAN (Linux 6.7), before that /proc/PID/pagemap. */
#ifndef UFFDCTL_PAGESCAN_H
#define UFFDCTL_PAGESCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/uffdctl.h"

enum entry_bits {
	ENTRY_PRESENT = 1 << 0,
	ENTRY_SWAPPED = 1 << 1,	 /* of a page that is swapped out */
	ENTRY_MARKER = 1 << 2,	 /* it holds only marks, or a guard region: there is no page */
	ENTRY_UNSURE = 1 << 3,	 /* there is an entry, and it is not known of what */
	ENTRY_UFFD = 1 << 4,	 /* the mark of write-protect, or in a mapping registered for it, of rwp */
	ENTRY_POISONED = 1 << 5, /* the mark of UFFDIO_POISON, or of an error in the memory or in swap */
	ENTRY_NO_MARKS = 1 << 6, /* the kernel does not show whether it has ENTRY_UFFD */
};

struct entry_run {
	struct uffdctl_range range;
	unsigned int bits; /* enum entry_bits */
};

#define MAX_ENTRY_RUNS 4096

/* A scan of a page table: its parts are found one after another. */
struct pagescan {
	int pagemap;
	bool no_ioctl;	       /* found out */
	bool is_crowded;       /* there was no room for all runs of a range */
	unsigned int patience; /* how often an entry may be looked at again, because its page might be migrating */
	/* What was found: entries that are not empty, by address. */
	struct entry_run runs[MAX_ENTRY_RUNS];
	size_t nr;
	uint64_t end; /* they are all entries up to here */
};

/* @pagemap: as pagemap_open() returns it; stays the caller's */
void pagescan_init(struct pagescan *s, int pagemap);

/*
 * Find the entries of a part of a mapping, from its start on, as far as there is room for them.
 * -ESRCH: the process has ended, or has another program. Touches no page.
 */
int pagescan_next(struct pagescan *s, const struct uffdctl_vma *v, struct uffdctl_range range);

/* A run behind the others; false: there is no room. */
bool pagescan_add(struct pagescan *s, const struct entry_run *run);

/* What a word of /proc/PID/pagemap says; enum entry_bits. */
unsigned int pagescan_word_bits(uint64_t word, const struct uffdctl_vma *v);

#endif
