// SPDX-License-Identifier: GPL-2.0-only
/* The userfaultfds that exist. New ones are found at their handshake (UFFDIO_API); the loader finds the others. */
#include "bpf/watch/governed.h"

char _license[] SEC("license") = "GPL";

__u32 active;
struct governed_map mms SEC(".maps");
__u64 mm_bits[EV_MM_BITS / 64];
__u32 nr_ctxs;
__u64 ctxs[EV_MAX_ALL_CTXS];

/* It was closed, or reused for another memory meanwhile. */
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
	/* There is no room for more: the loader finds this, too, and logs it. */
}

/* Not static, so that it is verified only once. */
__noinline int learn_ctx(__u64 ctx)
{
	struct ev_ctxs *set, fresh = {};
	__u64 mm = mm_of((void *)ctx);

	if (!ctx || !is_wanted(mm))
		return 0;
	/* Set this before the table: a thread that sees the entry must be handled. */
	active = 1;
	set = bpf_map_lookup_elem(&mms, &mm);
	if (set) {
		add_ctx(set, mm, ctx);
		return 0;
	}
	__sync_fetch_and_or(&mm_bits[ev_mm_bit(mm) / 64], 1ull << ev_mm_bit(mm) % 64);
	fresh.ctx[0] = ctx;
	bpf_map_update_elem(&mms, &mm, &fresh, BPF_NOEXIST);
	return 0;
}
