/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads that can resolve what waits, and what each is in. */
#ifndef UFFDCTL_HANDLERS_H
#define UFFDCTL_HANDLERS_H

#include "lib/inspect/pending_build.h"

/* For each userfaultfd with waiters; after the waiters are chosen. Only -ENOMEM is a failure. */
int handlers_find(struct uffdctl *u, struct uffdctl_pending *p);

#endif
