/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: the threads that read messages. */
#ifndef UFFDCTL_SERVE_WORK_H
#define UFFDCTL_SERVE_WORK_H

#include "lib/drive/serve.h"

int worker_start(struct serve_worker *w, struct serve_memory *m);
/* The prefaulter is a worker that runs this instead, on the memory of the target. */
int worker_start_as(struct serve_worker *w, struct serve_memory *m, void *(*run)(void *arg));
/* After serve_stopping() is true and stop_fd is readable: those that read a blocking descriptor end, too. */
void workers_interrupt(struct serve_memory *m);
void worker_join(struct serve_worker *w);

#endif
