/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ioctls of a userfaultfd (ioctl_userfaultfd(2)), each as a function that returns 0 or a negative errno. */
#ifndef UFFDCTL_UFFD_H
#define UFFDCTL_UFFD_H

#include "lib/kernel/names.h"
#include "lib/kernel/uapi.h"
#include "lib/uffdctl.h"

/* A userfaultfd for our own use, without handshake. */
int uffd_create(int *ret);

/*
 * One that guards mappings of our own: registered on it, a page that is not there is no fault that makes
 * one, but EFAULT for the system call that needs it.
 */
int uffd_guard(int *ret);

/* Is an event unread, so that whatever would resolve is refused (EAGAIN)? Changes nothing. */
bool uffd_is_changing(int uffd);

/* Returned by the ioctls alike: features and ioctls may be NULL. */
int uffd_handshake(int uffd, uint64_t features, uint64_t *ret_features);

/* What this kernel's userfaultfds can have; all bits where that can't be asked. */
uint64_t uffd_kernel_features(void);

int uffd_register(int uffd, struct uffdctl_range range, uint64_t modes, uint64_t *ret_ioctls);
int uffd_unregister(int uffd, struct uffdctl_range range);
int uffd_wake(int uffd, struct uffdctl_range range);

/* @done: out, bytes that were done, also where an error is returned. */
int uffd_continue(int uffd, struct uffdctl_range range, uint64_t mode, uint64_t *done);
int uffd_copy(int uffd, struct uffdctl_range range, const void *src, uint64_t mode, uint64_t *done);
int uffd_zeropage(int uffd, struct uffdctl_range range, uint64_t mode, uint64_t *done);

#endif
