/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: the threads that read messages. */
#ifndef UFFDCTL_SERVE_WORK_H
#define UFFDCTL_SERVE_WORK_H

#include "lib/drive/serving.h"

/* Start nr workers of a memory. -EAGAIN, -ENOMEM: none runs. */
int workers_start(struct serve_memory *m, unsigned int nr);
/* After serve_stopping() is true and stop_fd is readable, or the memory is gone. */
void workers_join(struct serve_memory *m);

/* A worker of its own, such as the prefaulter, which runs this. */
int worker_start(struct serve_worker *w, struct serve_memory *m, void *(*run)(void *arg));
void worker_join(struct serve_worker *w);

#endif
