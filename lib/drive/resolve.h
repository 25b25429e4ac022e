/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resolving faults in bulk with several threads: the common part of continue, copy and zeropage. */
#ifndef UFFDCTL_RESOLVE_H
#define UFFDCTL_RESOLVE_H

#include "lib/drive/job.h"

int resolve(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, const struct uffdctl_action_opts *opts,
	    const struct resolve_op *op);

#endif
