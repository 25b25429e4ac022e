/* SPDX-License-Identifier: GPL-2.0-only */
/* Totals by thread, by team and by resolver. */
#ifndef UFFDCTL_BPF_WATCH_TALLY_H
#define UFFDCTL_BPF_WATCH_TALLY_H

#include "bpf/watch/slots.h"

struct thread_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EV_MAX_THREADS);
	__type(key, __u32);
	__type(value, struct ev_thread);
};

struct team_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EV_MAX_TEAMS);
	__type(key, __u32);
	__type(value, struct ev_team);
};

struct resolver_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EV_MAX_RESOLVERS);
	__type(key, __u32);
	__type(value, struct ev_resolver);
};

extern struct thread_map threads SEC(".maps");
extern struct team_map teams SEC(".maps");
extern struct resolver_map resolvers SEC(".maps");

/* Their items at a place; the key is on the stack, as Linux 6.1 needs it. */
static __always_inline struct ev_thread *thread_at(__u32 at)
{
	return bpf_map_lookup_elem(&threads, &at);
}

static __always_inline struct ev_team *team_at(__u32 at)
{
	return bpf_map_lookup_elem(&teams, &at);
}

static __always_inline struct ev_resolver *resolver_at(__u32 at)
{
	return bpf_map_lookup_elem(&resolvers, &at);
}

/* Find the thread and the team of a slot's fault, for wait_begins(). */
int know_thread(struct ev_slot *s);

/* The place of the current task among the resolvers; 0: there is no room. */
int know_resolver(void);

/* Count a fault that has ended, and send its record. */
int count_end(struct ev_fault *f);

/* The slot's fault begins: call this before others can see it. */
static __always_inline void wait_begins(struct ev_slot *s)
{
	struct ev_team *t;

	if (s->known_mm != s->f.mm)
		know_thread(s);
	s->f.thread = s->thread;
	s->f.team = s->team;
	t = s->f.team ? team_at(s->f.team) : NULL;
	if (t && __sync_fetch_and_add(&t->nr_waiting, 1) + 1 == t->nr_threads)
		__sync_lock_test_and_set(&t->all_since, s->f.start_ns);
}

/* A thread of the team waits no more. */
static __always_inline void goes_on(struct ev_team *t, __u64 now)
{
	__u64 since;

	if (__sync_fetch_and_add(&t->nr_waiting, -1) != t->nr_threads)
		return;
	since = __sync_lock_test_and_set(&t->all_since, 0);
	if (since && now > since)
		ADD(t->all_ns, now - since);
}

/* The slot's fault has ended, and is not counted. */
static __always_inline void wait_ends(struct ev_slot *s)
{
	struct ev_team *t = s->f.team ? team_at(s->f.team) : NULL;

	if (t)
		goes_on(t, s->f.end_ns);
}

/* The current task ends the fault, by an ioctl or not. */
static __always_inline void note_resolver(struct ev_fault *f, struct task_struct *current_task)
{
	struct ev_slot *s;

	if (f->op == EV_OP_NONE)
		return;
	s = slot_of(current_task, false);
	f->resolver = s && s->resolver ? s->resolver : know_resolver();
}

/*
 * The thread has gone on, and nobody saw when. No ioctl has woken it: that is seen.
 * @word: the slot's, as it was read
 * @end: EV_SIGNAL if it slept
 */
static __always_inline bool end_unseen(struct ev_slot *s, __u32 word, enum ev_end end, enum ev_slot_state after)
{
	if (ev_slot_state(word) != EV_WAITING ||
	    __sync_val_compare_and_swap(&s->word, word, word - EV_WAITING + EV_ENDING) != word)
		return false;
	s->f.end = end;
	s->f.end_ns = s->f.start_ns;
	s->f.unmeasured = 1;
	count_end(&s->f);
	__sync_lock_test_and_set(&s->word, word - EV_WAITING + after);
	ADD(nr_taken, -1);
	return true;
}

/*
 * With EV_WATCH_STEPS: has the thread slept since the slot's fault began?
 * @switches: its voluntary context switches so far
 */
static inline bool has_slept(const struct ev_slot *s, __u64 switches)
{
	return s->slept || switches != s->switches;
}

/*
 * With EV_WATCH_STEPS: the thread has another fault or exits, and the end of the slot's fault was missed. A thread
 * that has slept since most likely slept in the fault; one that is being killed did not even need to.
 */
static __always_inline void end_missed(struct ev_slot *s, struct task_struct *task)
{
	bool slept = has_slept(s, BPF_CORE_READ(task, nvcsw));
	bool killed = BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT;

	if (end_unseen(s, EV_WAITING, slept || killed ? EV_SIGNAL : EV_NOT_WAITED, EV_IDLE))
		ADD(own_stats()->blocked, slept);
}

/* In the backend sched, the slot's word says whether it slept. */
static __always_inline void end_lost(struct ev_slot *s, __u32 word, enum ev_slot_state after)
{
	end_unseen(s, word, word & EV_SLEEP_SEEN ? EV_SIGNAL : EV_NOT_WAITED, after);
}

/* Its thread leaves the team: it exits, or has another memory. */
static __always_inline void leave_team(struct ev_slot *s)
{
	struct ev_team *t = s->team ? team_at(s->team) : NULL;
	__u32 left;

	s->team = 0;
	if (!t)
		return;
	left = __sync_fetch_and_add(&t->nr_threads, -1) - 1;
	if (left && left == t->nr_waiting)
		__sync_lock_test_and_set(&t->all_since, bpf_ktime_get_ns());
}

#endif
