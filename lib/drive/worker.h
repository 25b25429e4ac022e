/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads that resolve: who takes which chunk, in two rounds. */
#ifndef UFFDCTL_WORKER_H
#define UFFDCTL_WORKER_H

#include "lib/drive/job.h"

/* Do all parts: their tallies say what came of it. -errno: no thread can be had. */
int workers_run(struct job *job);

#endif
