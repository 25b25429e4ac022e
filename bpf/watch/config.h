/* SPDX-License-Identifier: GPL-2.0-only */
/* What to watch, and which faults that chooses. */
#ifndef UFFDCTL_BPF_WATCH_CONFIG_H
#define UFFDCTL_BPF_WATCH_CONFIG_H

#include "bpf/event.h"
#include "bpf/kernel.h"

extern const volatile struct ev_watch_config config;

/* Each thread that waited before has a slot: set by the loader while programs run. */
extern __u32 all_seen;

static inline bool is_streaming(void)
{
	return config.flags & EV_WATCH_STREAM;
}

static inline enum ev_kind kind_of(__u64 flags)
{
	return flags & UFFD_PAGEFAULT_FLAG_RWP	   ? EV_RWP
	       : flags & UFFD_PAGEFAULT_FLAG_WP	   ? EV_WP
	       : flags & UFFD_PAGEFAULT_FLAG_MINOR ? EV_MINOR
						   : EV_MISSING;
}

/* Of an array with a place for each kind, by a number that the verifier does not know: see event.h. */
#define KIND(kind) ((kind) & (EV_NR_KINDS - 1))
#define END(end) ((end) & (EV_NR_ENDS - 1))

static inline bool has_choice(void)
{
	return config.kinds || config.access || config.nr_ranges;
}

/* By a message's flags and address. */
int is_chosen_message(__u64 flags, __u64 addr);
/* By the address of a struct userfaultfd_wait_queue. */
int is_chosen_uwq(__u64 uwq);

static inline bool is_chosen(__u64 flags, __u64 addr)
{
	return !has_choice() || is_chosen_message(flags, addr);
}

#endif
