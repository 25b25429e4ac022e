/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: ranges that are registered for as long as they are served. */
#ifndef UFFDCTL_SERVE_REGISTER_H
#define UFFDCTL_SERVE_REGISTER_H

#include "lib/drive/serving.h"

/* Register the ranges for s->opts.register_modes. What was not registered before is remembered. Failures are logged. */
int serve_register(struct uffdctl_serve *s, const struct uffdctl_ranges *ranges);
/* Unregister what serve_register() has registered. Logs nothing. */
int serve_unregister(struct uffdctl_serve *s);
/* Unregister what is served of the target's memory, and wake who waits there. Logs nothing. */
int serve_unregister_parts(const struct serve_memory *m);
/* At the end of serving: unregister it, where this leaves the right contents; otherwise note what to do. */
void serve_register_end(struct uffdctl_serve *s, enum uffdctl_serve_end end);

#endif
