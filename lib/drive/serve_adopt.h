/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: who was the handler before us, and what it has left. */
#ifndef UFFDCTL_SERVE_ADOPT_H
#define UFFDCTL_SERVE_ADOPT_H

#include "lib/drive/serving.h"

/* "thread 4378 (handler) of process 4377", or who holds the userfaultfd; free with free(). NULL: not known. */
char *adopt_name_reader(struct uffdctl_handle *h);

/*
 * How many threads wait whose messages were read before us, for s->put_back; with UFFDCTL_SERVE_ADOPT, report that, and
 * who could still resolve them.
 */
int adopt_look(struct uffdctl_serve *s);

#endif
