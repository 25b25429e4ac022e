/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A lock that keeps two processes from changing the memory of one target at the same time. */
#ifndef UFFDCTL_LOCK_H
#define UFFDCTL_LOCK_H

#include "lib/drive/handle.h"

/*
 * Lock the memory of the handle's target; wait for the lock as uffdctl_handle_wait_lock() says.
 * -EBUSY: another process has the lock; its PID is logged; -EINTR: stopped.
 */
int lock_take(struct uffdctl_handle *h);
void lock_release(struct uffdctl_handle *h);

/*
 * Lock the reading of the handle's messages against others that use this library. -EBUSY: another process reads them;
 * logged. This excludes no lock_take().
 */
int lock_take_messages(struct uffdctl_handle *h);
void lock_release_messages(struct uffdctl_handle *h);

/* Has the caller asked to stop meanwhile? Call this before anything is changed: a signal may come at any time. */
bool lock_is_unwanted(struct uffdctl_handle *h);

#endif
