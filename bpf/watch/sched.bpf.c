// SPDX-License-Identifier: GPL-2.0-only
/* The backend sched: taking a slot for a fault whose first sign is seen. */
#include "bpf/watch/sched.h"

char _license[] SEC("license") = "GPL";

__noinline int note_reader(struct ev_slot *s)
{
	if (s)
		set_reader(&s->f);
	return 0;
}

/* Not static: verified once, not with each sign. */
__noinline int take_slot(struct ev_slot *s, __u32 word, __u64 task, const struct sign *sign)
{
	struct ev_stats *st = own_stats();
	__u32 kind, flags;

	if (!s || !sign)
		return false;
	flags = sign->flags;
	/* Do this before the slot can be found. */
	ADD(nr_taken, 1);
	if (!change(s, word, next_word(word))) {
		ADD(nr_taken, -1);
		return false;
	}
	fill(&s->f, (void *)task, &sign->found, sign->now);
	if (sign->read)
		note_reader(s);
	set_marks(s, sign);
	wait_begins(s);
	kind = s->f.kind;
	/* It was read before all earlier waiters were known, or before watching: no reader has counted it. */
	if (ev_slot_state(word) == EV_BEFORE_READ && flags & EV_DELIVERY_SEEN && all_seen)
		ADD(st->messages[KIND(kind)], 1);
	word = publish(s, EV_WAITING, flags, sign->now);
	if (ev_slot_state(word) == EV_TAKEN_OVER) {
		wait_ends(s);
		ADD(nr_taken, -1);
		return true;
	}
	ADD(st->faults[KIND(kind)], 1);
	if ((word | flags) & EV_DELIVERY_SEEN)
		mark_read(st, kind);
	return true;
}
