/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ioctls of a userfaultfd (ioctl_userfaultfd(2)), each as a function that returns 0 or a negative errno. */
#ifndef UFFDCTL_UFFD_H
#define UFFDCTL_UFFD_H

#include "lib/kernel/names.h"
#include "lib/kernel/uapi.h"
#include "lib/uffdctl.h"

/* The ways to a userfaultfd of one's own, in the order in which they are tried. */
enum uffd_way {
	UFFD_BY_DEVICE,	 /* /dev/userfaultfd */
	UFFD_BY_SYSCALL, /* userfaultfd(2) */
	UFFD_USER_MODE,	 /* userfaultfd(2) with UFFD_USER_MODE_ONLY */
	UFFD_NR_WAYS,
};

/* A userfaultfd for our own use, without handshake: by one way, or by the first one that works. */
int uffd_create_by(enum uffd_way way, int *ret);
int uffd_create(int *ret);

/*
 * A userfaultfd that guards mappings of our own: in a mapping that is registered on it, an absent page is not made by
 * an access; a system call that needs it fails with EFAULT.
 */
int uffd_guard(int *ret);

/* Is an event unread, so that the kernel refuses to resolve faults (EAGAIN)? Changes nothing. */
bool uffd_is_changing(int uffd);

/* Does the kernel know this ioctl? Changes nothing: it does not come further than to its argument. */
bool uffd_has_ioctl(int uffd, unsigned long request);

/* The ioctls; ret_features and ret_ioctls may be NULL. */
int uffd_handshake(int uffd, uint64_t features, uint64_t *ret_features);

/* The features of this kernel's userfaultfds; all bits if that can't be found out. */
uint64_t uffd_kernel_features(void);

int uffd_register(int uffd, struct uffdctl_range range, uint64_t modes, uint64_t *ret_ioctls);
int uffd_unregister(int uffd, struct uffdctl_range range);
int uffd_wake(int uffd, struct uffdctl_range range);

/* @done: out, bytes that were done, also after an error. */
int uffd_continue(int uffd, struct uffdctl_range range, uint64_t mode, uint64_t *done);
int uffd_copy(int uffd, struct uffdctl_range range, const void *src, uint64_t mode, uint64_t *done);
int uffd_zeropage(int uffd, struct uffdctl_range range, uint64_t mode, uint64_t *done);
int uffd_poison(int uffd, struct uffdctl_range range, uint64_t mode, uint64_t *done);
/* The kernel does not say how far it came: after an error nothing is known to be done. */
int uffd_writeprotect(int uffd, struct uffdctl_range range, uint64_t mode, uint64_t *done);
int uffd_rwprotect(int uffd, struct uffdctl_range range, uint64_t mode, uint64_t *done);

#endif
