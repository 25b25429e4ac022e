/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: takes in the events of a memory. */
#ifndef UFFDCTL_SERVE_EVENT_H
#define UFFDCTL_SERVE_EVENT_H

#include "lib/drive/serving.h"

/* With the gate of w->m held alone. */
void serve_event(struct serve_worker *w, const struct uffd_msg *msg);

#endif
