/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The second mapping: the file beneath a target's mapping, opened for ourselves. */
#ifndef UFFDCTL_PAGECACHE_H
#define UFFDCTL_PAGECACHE_H

#include <sys/stat.h>

#include "lib/kernel/kind.h"
#include "lib/kernel/target.h"

/* fstat(2) of the file that is mapped; -EPERM and other errnos where it can't be told. */
int pagecache_stat(struct uffdctl_target *t, const struct uffdctl_vma *v, struct stat *ret);

/*
 * Open for reading and writing the very file that is mapped.
 * Beneath: /proc/PID/map_files, or the target's own descriptor of the file, the only way for a guest_memfd.
 * Failures are logged with what would help.
 */
int pagecache_open(struct uffdctl_target *t, const struct uffdctl_vma *v, int *ret);

/* Likewise, for reading only. The descriptor may be the target's own: its offset is not ours to move. */
int pagecache_open_read(struct uffdctl_target *t, const struct uffdctl_vma *v, int *ret);

/*
 * Is the page at an address of a shared mapping in the page cache? 1, 0, or a negative errno. Makes none.
 * Beneath: mincore(2); for hugetlbfs UFFDIO_CONTINUE on a mapping and a userfaultfd of our own.
 */
int pagecache_has(struct uffdctl_target *t, const struct uffdctl_vma *v, uint64_t addr);

#endif
