// SPDX-License-Identifier: GPL-2.0-only
/* The totals of faults that have ended, and the stream of their records. */
#include "bpf/watch/totals.h"

char _license[] SEC("license") = "GPL";

struct stats_map stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

/* The reader of the stream polls it many times a second; wake it before the stream is full. */
#define WAKE_BYTES (1 << 20)

/*
 * The smallest i with ns <= 2^i us, by bisection. Not static: its many paths are verified once, and not for each
 * caller.
 */
__noinline __u32 bucket_of(__u64 ns)
{
	__u64 us = ns > 1000 ? (ns - 1) / 1000 : 0;
	__u32 i = 0;

	if (us >> 32)
		return EV_NR_BUCKETS - 1;
	for (int bits = 16; bits; bits /= 2)
		if (us >> bits) {
			us >>= bits;
			i += bits;
		}
	i += us;
	return i < EV_NR_BUCKETS ? i : EV_NR_BUCKETS - 1;
}

static void count_wait(struct ev_stats *st, __u64 wait)
{
	__u32 i = bucket_of(wait);

	if (i < EV_NR_BUCKETS)
		ADD(st->buckets[i], 1);
	if (wait > st->max_wait_ns)
		st->max_wait_ns = wait;
}

static bool hand_out(struct ev_fault *f)
{
	bool is_much = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > WAKE_BYTES;

	return !bpf_ringbuf_output(&events, f, sizeof(*f), is_much ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

/* Not static, so that it is verified only once. */
__noinline int count_end(struct ev_fault *f)
{
	struct ev_stats *st = own_stats();

	if (!st || !f)
		return 0;
	ADD(st->ended[END(f->end)], 1);
	if (f->unmeasured)
		ADD(st->unmeasured, 1);
	else
		count_wait(st, f->end_ns > f->start_ns ? f->end_ns - f->start_ns : 0);
	if (is_streaming() && !hand_out(f))
		ADD(st->lost, 1);
	return 0;
}
