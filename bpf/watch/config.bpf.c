// SPDX-License-Identifier: GPL-2.0-only
/*
 * What to watch, and which faults are selected. Functions that are not static are verified once, and not at each
 * call.
 */
#include "bpf/queues.h"
#include "bpf/watch/config.h"
#include "bpf/watch/kind.h"

char _license[] SEC("license") = "GPL";

const volatile struct ev_watch_config config;
__u32 all_seen;

struct in_ranges {
	__u64 addr;
	bool found;
};

static long look_in_range(__u32 i, struct in_ranges *in)
{
	if (i >= EV_MAX_RANGES)
		return 1;
	in->found = in->addr >= config.ranges[i].start && in->addr < config.ranges[i].end;
	return in->found;
}

__noinline int choose_message(__u64 flags, __u64 addr)
{
	__u32 access = flags & UFFD_PAGEFAULT_FLAG_WRITE ? EV_WRITE : EV_READ;
	struct in_ranges in = { .addr = addr };

	if (config.kinds && !(config.kinds >> kind_of(flags) & 1))
		return false;
	if (config.access && !(config.access >> access & 1))
		return false;
	if (!config.nr_ranges)
		return true;
	bpf_loop(config.nr_ranges, look_in_range, &in, 0);
	return in.found;
}

__noinline int choose_uwq(__u64 uwq)
{
	struct uffd_msg msg = msg_of((void *)uwq);

	return choose_message(msg.arg.pagefault.flags, msg.arg.pagefault.address);
}
