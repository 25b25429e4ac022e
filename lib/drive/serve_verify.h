/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: compares what was filled with its source. */
#ifndef UFFDCTL_SERVE_VERIFY_H
#define UFFDCTL_SERVE_VERIFY_H

#include "lib/drive/serving.h"

/* The states that a store had at the start. */
struct serve_before {
	struct serve_before *next;
	const struct serve_store *store;
	uint8_t *states;
};

/* Remember what was there before us, if it is to be verified. -ENOMEM, -EOPNOTSUPP, logged. */
int verify_open(struct uffdctl_serve *s);
/* Pages that are not filled, and not to be compared. */
void verify_leave_out(const struct uffdctl_serve *s, const struct serve_part *p, struct uffdctl_range r);
void verify_close(struct uffdctl_serve *s);

#endif
