/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Warnings before ranges are registered: threads that may wait forever. */
#ifndef UFFDCTL_REGISTER_WARN_H
#define UFFDCTL_REGISTER_WARN_H

#include "lib/drive/handle.h"

/*
 * Warn if no handler reads the messages, or if the handler may not know the faults of a mode.
 * @maps: all mappings of the target
 */
void warn_handler(struct uffdctl_handle *h, const struct uffdctl_maps *maps, uint64_t modes);

/*
 * Warn if @GLOB or all takes two mappings of one file: a handler of the target that fills pages through one of them
 * would wait for itself.
 */
void warn_same_file(struct uffdctl_handle *h, const struct segments *segs);

/* Warn if ranges hold memory that the target's own handler needs: heap, stacks, TLS. */
void warn_own_memory(struct uffdctl_handle *h, const struct segments *segs);

#endif
