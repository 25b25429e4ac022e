/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: where the contents of a hand-over's regions are in the image. */
#ifndef UFFDCTL_SERVE_REGIONS_H
#define UFFDCTL_SERVE_REGIONS_H

#include "lib/drive/serving.h"

/* For each segment, its offset in the image, as s->opts.regions say. Failures are logged. */
int serve_regions_find(struct uffdctl_serve *s, const struct segments *segs, uint64_t *froms);

#endif
