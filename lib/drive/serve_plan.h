/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: what is served, checked before it begins. */
#ifndef UFFDCTL_SERVE_PLAN_H
#define UFFDCTL_SERVE_PLAN_H

#include "lib/drive/serving.h"

/* Make the memory of the target, with its parts, and open the contents. Failures are logged. */
int serve_plan(struct uffdctl_serve *s);

/* Parts of mappings that this userfaultfd governs. Failures are logged. @plan: out, free with plan_free() */
int serve_plan_ranges(struct uffdctl_serve *s, const struct uffdctl_ranges *ranges, struct plan *plan);

/* Note which pages are there already. With another's pages they can't be filled any more. Failures are logged. */
int serve_plan_scan(struct uffdctl_serve *s);

#endif
