/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file of a target's mapping, opened by us: for a second mapping, to peek, and to stat it. */
#ifndef UFFDCTL_PAGECACHE_H
#define UFFDCTL_PAGECACHE_H

#include <sys/stat.h>

#include "lib/kernel/target.h"

/* fstat(2) of the mapped file; -EPERM and other errnos if that is not possible. */
int pagecache_stat(struct uffdctl_target *t, const struct uffdctl_vma *v, struct stat *ret);

/*
 * Open the mapped file for reading and writing.
 * Beneath: /proc/PID/map_files, or the target's own descriptor of the file, the only way for a guest_memfd. Failures
 * are logged with the remedy.
 */
int pagecache_open(struct uffdctl_target *t, const struct uffdctl_vma *v, int *ret);

/* The same, for reading only. The descriptor may be a duplicate of the target's: do not move its file offset. */
int pagecache_open_read(struct uffdctl_target *t, const struct uffdctl_vma *v, int *ret);

/* The same, but not logged; to write, too, or only to read. */
int pagecache_try_open(struct uffdctl_target *t, const struct uffdctl_vma *v, bool writes, int *ret);

/*
 * Is the page at an address of a shared mapping in the page cache? 1, 0, or a negative errno, not logged.
 * Makes no page.
 * Beneath: mincore(2); for hugetlbfs UFFDIO_CONTINUE on a mapping and a userfaultfd of our own.
 */
int pagecache_has(struct uffdctl_target *t, const struct uffdctl_vma *v, uint64_t addr);

#endif
