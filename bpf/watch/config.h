/* SPDX-License-Identifier: GPL-2.0-only */
/* What to watch, and which faults are selected. */
#ifndef UFFDCTL_BPF_WATCH_CONFIG_H
#define UFFDCTL_BPF_WATCH_CONFIG_H

#include "bpf/event.h"
#include "bpf/kernel.h"

extern const volatile struct ev_watch_config config;

/* Set by the loader while programs run: the threads that waited before have slots. */
extern __u32 all_seen;

static inline bool is_streaming(void)
{
	return config.flags & EV_WATCH_STREAM;
}

static inline bool has_choice(void)
{
	return config.flags & EV_WATCH_CHOICE;
}

/* If not all faults are selected: is the fault with these message flags and this address selected? */
int choose_message(__u64 flags, __u64 addr);
/* The same for a struct userfaultfd_wait_queue, by its address. */
int choose_uwq(__u64 uwq);

static inline bool is_chosen(__u64 flags, __u64 addr)
{
	return !has_choice() || choose_message(flags, addr);
}

static inline bool is_chosen_uwq(__u64 uwq)
{
	return !has_choice() || choose_uwq(uwq);
}

#endif
