/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: resolves faults. */
#ifndef UFFDCTL_SERVE_FAULT_H
#define UFFDCTL_SERVE_FAULT_H

#include "lib/drive/serving.h"

/* Resolve w->faults, hold them, or put them off; there are none then. */
void serve_faults(struct serve_worker *w);

/*
 * Resolve faults of one kind on a range of pages, whether or not there are any: see serve_faults().
 * @range: at most SERVE_RUN_BYTES, or one huge page
 */
#define SERVE_RUN_BYTES CONTENTS_BYTES
void serve_range(struct serve_worker *w, enum uffdctl_kind kind, struct uffdctl_range range);

#endif
