/* SPDX-License-Identifier: GPL-2.0-only */
/* Kinds of faults. */
#ifndef UFFDCTL_BPF_WATCH_KIND_H
#define UFFDCTL_BPF_WATCH_KIND_H

#include "bpf/event.h"
#include "bpf/kernel.h"

static inline enum ev_kind kind_of(__u64 flags)
{
	return flags & UFFD_PAGEFAULT_FLAG_RWP	   ? EV_RWP
	       : flags & UFFD_PAGEFAULT_FLAG_WP	   ? EV_WP
	       : flags & UFFD_PAGEFAULT_FLAG_MINOR ? EV_MINOR
						   : EV_MISSING;
}

/* Indexes of arrays, limited for the verifier: see event.h. */
#define KIND(kind) ((kind) & (EV_NR_KINDS - 1))
#define END(end) ((end) & (EV_NR_ENDS - 1))

#endif
