/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks that a userfaultfd governs the memory of the given process, and of no other. */
#ifndef UFFDCTL_GOVERNS_H
#define UFFDCTL_GOVERNS_H

#include "lib/drive/handle.h"

/*
 * Is it certain that an action through the handle on these segments reaches no other process? -EXDEV: no; the log
 * says what would make it certain. Beneath: BPF, or /proc/PID/maps of all processes.
 * @by_deed: the action itself will show it; refuse only if another process is seen to have something registered there
 */
int governs_check(struct uffdctl_handle *h, const struct segments *segs, bool by_deed);

#endif
