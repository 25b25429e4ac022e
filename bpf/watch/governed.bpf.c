// SPDX-License-Identifier: GPL-2.0-only
/* Which userfaultfds there are: learned when their handshake is seen. The loader finds the rest. */
#include "bpf/watch/governed.h"

char _license[] SEC("license") = "GPL";

__u32 active;
struct governed_map mms SEC(".maps");
__u32 nr_ctxs;
__u64 ctxs[EV_MAX_ALL_CTXS];

/* Closed, or used again by another memory since. */
static bool is_gone(__u64 ctx, __u64 mm)
{
	return !ctx || is_released((void *)ctx) || mm_of((void *)ctx) != mm;
}

static void add_ctx(struct ev_ctxs *set, __u64 mm, __u64 ctx)
{
	for (int i = 0; i < EV_MAX_CTXS; i++)
		if (set->ctx[i] == ctx)
			return;
	for (int i = 0; i < EV_MAX_CTXS; i++)
		if (is_gone(set->ctx[i], mm)) {
			set->ctx[i] = ctx;
			return;
		}
	/* More than there is room for: the loader, who finds it too, says so. */
}

/* Not static: verified once. */
__noinline int learn_ctx(__u64 ctx)
{
	struct ev_ctxs *set, fresh = {};
	__u64 mm = mm_of((void *)ctx);

	/* Before the table: a thread that sees it there must not be turned away. */
	active = 1;
	if (!ctx || !is_wanted(mm))
		return 0;
	set = bpf_map_lookup_elem(&mms, &mm);
	if (set) {
		add_ctx(set, mm, ctx);
		return 0;
	}
	fresh.ctx[0] = ctx;
	bpf_map_update_elem(&mms, &mm, &fresh, BPF_NOEXIST);
	return 0;
}
