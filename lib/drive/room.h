/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is there room for the pages that are made, before the kernel kills somebody for them? */
#ifndef UFFDCTL_ROOM_H
#define UFFDCTL_ROOM_H

#include "lib/drive/job.h"

/* -ENOMEM: the target's memory cgroup lacks it, logged. A lack of ours is warned of. */
int room_check(struct job *job);

#endif
