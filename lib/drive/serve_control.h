/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: the thread that sees to it that all goes on, and that it ends. */
#ifndef UFFDCTL_SERVE_CONTROL_H
#define UFFDCTL_SERVE_CONTROL_H

#include "lib/drive/serving.h"

/* Start it, as s->control. */
int serve_control(struct uffdctl_serve *s);
/* End all other threads. */
void serve_end_workers(struct uffdctl_serve *s);

/* The list grows at its beginning only, and only the control thread takes one out. */
struct serve_memory *serve_memories(struct uffdctl_serve *s);
/* The next child that has not ended; NULL: the first one, or none. For the prefaulter: it is not freed before the next call. */
struct serve_memory *serve_next_child(struct uffdctl_serve *s, const struct serve_memory *child);
void serve_add_counts(struct serve_counts *sum, const struct serve_counts *n);

#endif
