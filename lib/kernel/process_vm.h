/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_vm_readv(2) and process_vm_writev(2) on our own memory. The kernel makes the access: if a page is gone or
 * is guarded (uffd_guard()), this is an error, and not a signal.
 */
#ifndef UFFDCTL_PROCESS_VM_H
#define UFFDCTL_PROCESS_VM_H

#include <sys/types.h>

/* Bytes that were done, or a negative errno. */
ssize_t process_vm_read_own(const void *from, void *buf, size_t len);
ssize_t process_vm_write_own(void *to, const void *buf, size_t len);

#endif
