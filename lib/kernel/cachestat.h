/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cachestat(2) (Linux 6.5): what the page cache holds of a file. */
#ifndef UFFDCTL_CACHESTAT_H
#define UFFDCTL_CACHESTAT_H

#include <stdbool.h>
#include <stdint.h>

/* Has a page of this part of a file been evicted, as what is swapped out has? False too where it can't be told. */
bool cachestat_has_evicted(int fd, uint64_t offset, uint64_t len);

#endif
