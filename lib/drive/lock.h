/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps two processes from changing one target's memory at the same time. */
#ifndef UFFDCTL_LOCK_H
#define UFFDCTL_LOCK_H

#include "lib/drive/handle.h"

/*
 * Lock the memory that the handle governs, or wait for it as uffdctl_handle_wait_lock() says.
 * -EBUSY: another process has it, logged with its PID; -EINTR: stopped.
 */
int lock_take(struct uffdctl_handle *h);
void lock_release(struct uffdctl_handle *h);

/* Has whoever wanted it given up meanwhile? Asked before anything is changed: a signal may have come at any time. */
bool lock_is_unwanted(struct uffdctl_handle *h);

#endif
