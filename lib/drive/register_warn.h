/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said before ranges are registered: which threads may wait for good. */
#ifndef UFFDCTL_REGISTER_WARN_H
#define UFFDCTL_REGISTER_WARN_H

#include "lib/drive/handle.h"

/* Nobody handles the faults, or who does may not know those of a mode. @maps: all mappings of the target */
void warn_handler(struct uffdctl_handle *h, const struct uffdctl_maps *maps, uint64_t modes);

/* These ranges hold what the target's own handler needs: heap, stacks, TLS. */
void warn_own_memory(struct uffdctl_handle *h, const struct segments *segs);

#endif
