/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: brings in, in the background, what nobody has asked for. */
#ifndef UFFDCTL_SERVE_PREFAULT_H
#define UFFDCTL_SERVE_PREFAULT_H

/* The thread; arg is a struct serve_worker. */
void *serve_prefault(void *arg);

#endif
