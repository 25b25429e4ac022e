/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory cgroups: at the limit of one, the kernel kills one of its processes. */
#ifndef UFFDCTL_MEMCG_H
#define UFFDCTL_MEMCG_H

#include <stdint.h>

#define MEMCG_UNKNOWN UINT64_MAX

/*
 * How many more bytes a process (/proc/PID as a descriptor) may be charged until its cgroup, or one above it, is at
 * its limit; page cache of files and free swap that it may use count as room. MEMCG_UNKNOWN: no limit, or not known.
 */
uint64_t memcg_room(int procfd);
/* The same for one cgroup, of v1 or v2, by its directory. */
uint64_t memcg_room_of(int dir, int version, uint64_t free_swap);

/* The cgroup path from the text of /proc/PID/cgroup: of v1's memory controller, or of v2; NULL; free with free(). */
char *memcg_path(const char *text, int version);

#endif
