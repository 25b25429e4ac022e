/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mincore(2): which pages of a file are in the page cache. */
#ifndef UFFDCTL_MINCORE_H
#define UFFDCTL_MINCORE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Is the page at an offset of an open file in the page cache? 1, 0, or a negative errno. Makes no page. Not for
 * hugetlbfs, where mincore(2) looks only into the page table.
 */
int mincore_has(int fd, uint64_t offset);

/* Are all pages of this part in the page cache? False also if this is not known. */
bool mincore_has_all(int fd, uint64_t offset, uint64_t len);

/*
 * @states: out, one for each of nr pages from offset on; the lowest bit is set if it is in the page cache and has been
 * written. All bits are set for those who may not write the file.
 */
int mincore_read(int fd, uint64_t offset, uint64_t nr, uint8_t *states);

#endif
