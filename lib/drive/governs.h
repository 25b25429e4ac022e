/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a userfaultfd acts on the memory of the process that was named, and on no other. */
#ifndef UFFDCTL_GOVERNS_H
#define UFFDCTL_GOVERNS_H

#include "lib/drive/handle.h"

/*
 * Is it shown that what is done through the handle on these segments reaches no other process?
 * -EXDEV: it is not, logged with what would show it. Beneath: BPF, or /proc/PID/maps of all processes.
 * @by_deed: what is done will show it; refused is only what another process is seen to have there
 */
int governs_check(struct uffdctl_handle *h, const struct segments *segs, bool by_deed);

#endif
