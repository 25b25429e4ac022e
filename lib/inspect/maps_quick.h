/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mappings of given addresses alone, asked for one by one. */
#ifndef UFFDCTL_MAPS_QUICK_H
#define UFFDCTL_MAPS_QUICK_H

#include "lib/inspect/maps.h"
#include "lib/inspect/range.h"

/*
 * Get the mappings at ranges that are all given by address: without BPF, whose start takes longer than this, and without
 * reading all mappings of the target. Modes, owners and VmFlags are not known.
 * @ret: out, free with uffdctl_maps_free(); NULL: this way can't be taken, or there may be an error to explain
 * -ENOMEM, logged. Beneath: PROCMAP_QUERY.
 */
int maps_quick(struct uffdctl_target *t, const struct uffdctl_ranges *ranges, struct uffdctl_maps **ret);

#endif
