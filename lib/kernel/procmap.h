/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PROCMAP_QUERY (Linux 6.11): get one mapping of a process without reading all. */
#ifndef UFFDCTL_PROCMAP_H
#define UFFDCTL_PROCMAP_H

#include <limits.h>

#include "lib/kernel/proc.h"

/* Room for any accepted name: a byte may become four. */
#define PROCMAP_NAME_BYTES (PATH_MAX * 4)

/*
 * Get the mapping at an address, as in its line of /proc/PID/maps.
 * @mapsfd: /proc/PID/maps
 * @name: out, a buffer of PROCMAP_NAME_BYTES; NULL: not wanted
 * @ret: out; its name is @name
 * @ret_page_size: out, may be NULL
 * -ENOENT: nothing is mapped there; -ENOTTY: the kernel has no such call; -ENAMETOOLONG: a name of 4096 bytes
 * or more; -ESRCH. May be called by any thread.
 */
int procmap_query(int mapsfd, uint64_t addr, char *name, struct maps_line *ret, uint64_t *ret_page_size);

#endif
