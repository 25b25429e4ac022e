/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads that resolve: they take chunks, in two rounds. */
#ifndef UFFDCTL_WORKER_H
#define UFFDCTL_WORKER_H

#include "lib/drive/job.h"

/* Do all parts: their tallies have the results. -errno: no thread can be started. */
int workers_run(struct job *job);

#endif
