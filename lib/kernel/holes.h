/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SEEK_DATA and SEEK_HOLE of lseek(2): which parts of a file of shmem have been written. */
#ifndef UFFDCTL_HOLES_H
#define UFFDCTL_HOLES_H

#include <stdint.h>

#include "lib/uffdctl.h"

/*
 * The first part of a file at or after an offset that has data: on shmem, pages in the page cache that have been
 * written, and pages that are swapped out. Not for a duplicate of a target's descriptor: moves the file offset.
 * @ret: out; empty, at the given offset: there is none
 */
int holes_next_data(int fd, uint64_t offset, struct uffdctl_range *ret);

#endif
