// SPDX-License-Identifier: GPL-2.0-only
/* Tells the loader, once, that a thread begins to wait on a userfaultfd, or that no thread waits any more. */
#include "bpf/event.h"
#include "bpf/queues.h"

char _license[] SEC("license") = "GPL";

/* Set by the loader; a program takes it back when it has told. */
__u32 armed; /* enum ev_alarm */

/* The memories that userfaultfds govern: most threads that go to sleep have another, as this bit says for many. */
__u64 mm_bits[EV_MM_BITS / 64];

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EV_MAX_GOVERNED);
	__type(key, __u64);
	__type(value, struct ev_ctxs);
} governed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} alarms SEC(".maps");

static void tell(__u32 alarm)
{
	if (__sync_val_compare_and_swap(&armed, alarm, EV_ALARM_OFF) == alarm)
		bpf_ringbuf_output(&alarms, &alarm, sizeof(alarm), 0);
}

static bool has_entry(struct list_head *queue)
{
	struct list_head *first = BPF_CORE_READ(queue, next);

	return first && first != queue;
}

/* A userfaultfd that is gone since the loader looked may read as anything: then the loader looks in vain. */
static bool is_waited_on(const struct ev_ctxs *set)
{
	for (int i = 0; i < EV_MAX_CTXS && set->ctx[i]; i++) {
		struct userfaultfd_ctx *ctx = (void *)set->ctx[i];

		if (set->ctx[i] == EV_MORE_CTXS || has_entry(queue_of(ctx, fault_pending_wqh)) ||
		    has_entry(queue_of(ctx, fault_wqh)) || has_entry(queue_of(ctx, event_wqh)))
			return true;
	}
	return false;
}

static const struct ev_ctxs *ctxs_of(__u64 mm)
{
	__u32 bit = ev_mm_bit(mm);

	return mm && mm_bits[bit / 64] >> bit % 64 & 1 ? bpf_map_lookup_elem(&governed, &mm) : NULL;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switches, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	__u32 alarm = armed;
	const struct ev_ctxs *set;

	if (!alarm || (alarm == EV_ALARM_WAITS && (preempt || !prev_state)))
		return 0;
	/* As a number: the verifier forbids arithmetic with pointers that it knows. */
	set = ctxs_of((__u64)BPF_CORE_READ(alarm == EV_ALARM_WAITS ? prev : next, mm));
	if (!set || (alarm == EV_ALARM_WAITS && !is_waited_on(set)) || (alarm == EV_ALARM_NONE && is_waited_on(set)))
		return 0;
	tell(alarm);
	return 0;
}

/* A thread that is killed takes itself out of the queue, and may never run with its memory after that. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(exits)
{
	if (armed == EV_ALARM_NONE || armed == EV_ALARM_GOES_ON)
		tell(armed);
	return 0;
}
