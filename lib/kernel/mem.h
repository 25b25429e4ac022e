/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/PID/mem: the memory of a process. */
#ifndef UFFDCTL_MEM_H
#define UFFDCTL_MEM_H

#include "lib/kernel/target.h"

int mem_open(struct uffdctl_target *t, int *ret);

/*
 * Read all of these bytes, or fail. Unlike process_vm_readv(2), this never waits for the handler of a userfaultfd: on a
 * page that is registered and not there it fails with -EIO. A page that is not there and not registered is made: read
 * only what is mapped.
 */
int mem_read(int mem, uint64_t addr, void *buf, size_t len);

#endif
