/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: what is done on purpose to software under test: faults that take time, and pages that fail. */
#ifndef UFFDCTL_SERVE_PURPOSE_H
#define UFFDCTL_SERVE_PURPOSE_H

#include "lib/drive/serving.h"

static inline bool purpose_delays(const struct uffdctl_serve *s)
{
	return s->opts.delay_ns || s->opts.jitter_ns;
}

/* As long as a fault is to take, or until all end. */
void purpose_delay(struct uffdctl_serve *s);

/* Find and check the pages that are to fail, after the states of pages were found. Failures are logged. */
int purpose_open(struct uffdctl_serve *s);
/* Poison them, before anything is read. Likewise. */
int purpose_start(struct uffdctl_serve *s);
void purpose_close(struct uffdctl_serve *s);

#endif
