/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which pages a mapping has in its page table, and which carry a write-protect mark. */
#ifndef UFFDCTL_PAGEMAP_H
#define UFFDCTL_PAGEMAP_H

#include "lib/kernel/target.h"

enum pte_state {
	PTE_MAPPED = 1 << 0, /* an entry that CONTINUE would refuse: present, swapped, poisoned, migrating */
	PTE_WP = 1 << 1,     /* the userfaultfd write-protect mark, on a page or in place of one */
	PTE_UNSURE = 1 << 2, /* PTE_MAPPED may be a mark in place of a page, or a page that is being migrated */
	/* With PTE_MAPPED: no page but poison, or a huge page that is being migrated. Where it can't be told, it is not set. */
	PTE_POISONED = 1 << 3,
};

int pagemap_open(struct uffdctl_target *t, int *ret);

/*
 * @states: out, enum pte_state, one for each page of the range
 * -EOPNOTSUPP: huge pages may be marked, and that can't be seen on this kernel (before Linux 6.7)
 * Beneath: /proc/PID/pagemap, PAGEMAP_SCAN for huge pages where the kernel has it.
 */
int pagemap_read(int pagemap, const struct uffdctl_vma *v, struct uffdctl_range range, uint8_t *states);

/*
 * May a range have entries that hold no page but are not empty: poisoned, swapped, migrating, marked? Much faster than
 * pagemap_read(). Where the kernel can't be asked it may; on hugetlbfs pagemap_read() would show none, so that it may not.
 * Beneath: PAGEMAP_SCAN (Linux 6.7).
 */
bool pagemap_has_marks(int pagemap, const struct uffdctl_vma *v, struct uffdctl_range range);

/* The state of a page in our own page table. */
enum own_state {
	OWN_ABSENT,    /* no entry, or of a page that is being migrated */
	OWN_SHARED,    /* others may have it mapped, too */
	OWN_EXCLUSIVE, /* it is the only entry there is, in any process */
};

int pagemap_open_own(int *ret);

/* @states: out, enum own_state of nr base pages, from addr on; the first one of a huge page is valid for all of it. */
int pagemap_read_own(int pagemap, const void *addr, uint64_t nr, uint8_t *states);

/* Does PAGEMAP_SCAN find the page at mapped, which is mapped? 0; -ENOTTY: the kernel has no such call. */
int pagemap_try_scan(int pagemap, const void *mapped);

#endif
