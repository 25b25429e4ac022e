/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks that there is room for new pages, before the kernel kills a process for them. */
#ifndef UFFDCTL_ROOM_H
#define UFFDCTL_ROOM_H

#include "lib/drive/job.h"

/* -ENOMEM: the target's memory cgroup has no room, which is logged. If ours has no room, a warning is logged. */
int room_check(struct job *job);

#endif
