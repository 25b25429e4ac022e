/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_vm_readv(2) and process_vm_writev(2) on memory of our own. The kernel does it: where a page is gone or is
 * guarded (uffd_guard()) that is an error, and not a signal to us.
 */
#ifndef UFFDCTL_PROCESS_VM_H
#define UFFDCTL_PROCESS_VM_H

#include <sys/types.h>

/* Bytes that were done, or a negative errno. */
ssize_t process_vm_read_own(const void *from, void *buf, size_t len);
ssize_t process_vm_write_own(void *to, const void *buf, size_t len);

#endif
