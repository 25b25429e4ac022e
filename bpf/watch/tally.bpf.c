// SPDX-License-Identifier: GPL-2.0-only
/*
 * Totals by thread, by team and by resolver, and what is done when a fault ends. Functions are not static, so that each
 * is verified once.
 */
#include "bpf/watch/tally.h"
#include "bpf/watch/thread.h"

char _license[] SEC("license") = "GPL";

struct thread_map threads SEC(".maps");
struct team_map teams SEC(".maps");
struct resolver_map resolvers SEC(".maps");

/* The last place that was given away. */
__u32 last_thread, last_team, last_resolver = EV_NO_RESOLVER;

/* Another place; 0: there is none. Not counted on then: the number must not begin again. */
static __u32 next_place(__u32 *last, __u32 nr_places)
{
	return *(volatile __u32 *)last + 1 < nr_places ? __sync_fetch_and_add(last, 1) + 1 : 0;
}

/* An mm may be reused for another process. */
struct team_key {
	__u64 mm, process_ns;
	char name[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EV_MAX_TEAMS);
	__type(key, struct team_key);
	__type(value, __u32);
} team_places SEC(".maps");

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "CPU 0/KVM" -> "CPU #/KVM" */
static void set_team_name(char *name, const char *comm)
{
	__u32 n = 0;

	for (int i = 0; i < 15; i++) {
		if (!comm[i])
			break;
		if (is_digit(comm[i]) && i && is_digit(comm[i - 1]))
			continue;
		name[n & 15] = is_digit(comm[i]) ? '#' : comm[i];
		n++;
	}
}

static __u32 new_team(const struct team_key *key, __u32 pid)
{
	__u32 at = next_place(&last_team, EV_MAX_TEAMS), *other;
	struct ev_team *t = team_at(at);

	if (!at || !t)
		return 0;
	if (bpf_map_update_elem(&team_places, key, &at, BPF_NOEXIST)) {
		/* Another CPU was faster; this place stays empty. */
		other = bpf_map_lookup_elem(&team_places, key);
		return other ? *other : 0;
	}
	t->pid = pid;
	__builtin_memcpy(t->name, key->name, sizeof(t->name));
	return at;
}

static void join_team(struct ev_slot *s, struct task_struct *task)
{
	struct team_key key = { .mm = s->f.mm, .process_ns = BPF_CORE_READ(task, group_leader, start_time) };
	struct ev_team *t;
	__u32 *found;

	set_team_name(key.name, s->f.comm);
	found = bpf_map_lookup_elem(&team_places, &key);
	s->team = found ? *found : new_team(&key, s->f.pid);
	t = s->team ? team_at(s->team) : NULL;
	if (t)
		ADD(t->nr_threads, 1);
}

__noinline int know_thread(struct ev_slot *s)
{
	struct task_struct *task;
	struct ev_thread *t;
	__u32 at;

	if (!s)
		return 0;
	leave_team(s);
	task = (void *)s->task;
	/* Not on the stack, of which there is little left here. */
	read_ids(task, &s->f.pid, &s->f.tid);
	BPF_CORE_READ_STR_INTO(&s->f.comm, task, comm);
	if (!s->thread) {
		at = next_place(&last_thread, EV_MAX_THREADS);
		t = thread_at(at);
		if (at && t) {
			t->pid = s->f.pid;
			t->tid = s->f.tid;
			__builtin_memcpy(t->comm, s->f.comm, sizeof(t->comm));
			s->thread = at;
		}
	}
	/* A thread that touches the memory of another process is in none of its teams. */
	if ((__u64)BPF_CORE_READ(task, mm) == s->f.mm)
		join_team(s, task);
	s->known_mm = s->f.mm;
	return 0;
}

__noinline int know_resolver(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 self = bpf_get_current_task();
	struct ev_slot *s = find_slot(self);
	struct ev_resolver *r;
	__u32 at;

	if (!s)
		s = take_place(self);
	if (!s || s->resolver)
		return s ? s->resolver : 0;
	at = next_place(&last_resolver, EV_MAX_RESOLVERS);
	r = resolver_at(at);
	if (!at || !r)
		return 0;
	set_current(task, &r->pid, &r->tid, r->comm);
	s->resolver = at;
	return at;
}

/* ---- faults that have ended ---- */

/*
 * The bucket of each wait below 2^STEP times the shortest, by its highest bits: the first one, and at least four that
 * come after it. A longer wait is divided by 2^STEP until it is below.
 */
#define STEP 6
#define TABLE_BITS (STEP + 4)
#define PART(doubling, part)                                                                \
	[(EV_PARTS + (part)) << (doubling)...((EV_PARTS + (part) + 1) << (doubling)) - 1] = \
		1 + (doubling)*EV_PARTS + (part)
#define PARTS_4(doubling, part) \
	PART(doubling, part), PART(doubling, part + 1), PART(doubling, part + 2), PART(doubling, part + 3)
#define DOUBLING(n) PARTS_4(n, 0), PARTS_4(n, 4), PARTS_4(n, 8), PARTS_4(n, 12)
static const __u8 table[1 << TABLE_BITS] = { DOUBLING(0), DOUBLING(1), DOUBLING(2),
					     DOUBLING(3), DOUBLING(4), DOUBLING(5) };

/* The bucket of a wait, or a higher number for the last one. */
static __always_inline __u32 bucket_of(__u64 ns)
{
	__u64 len = ns ? ns - 1 : 0;
	__u32 steps = 0;

	for (len >>= EV_SHORTEST - 4; len >> TABLE_BITS; len >>= STEP)
		if (++steps == 5)
			return EV_NR_BUCKETS - 1;
	/* The compiler knows the limit, but the verifier does not. */
	asm volatile("" : "+r"(len));
	return steps * STEP * EV_PARTS + table[len & ((1 << TABLE_BITS) - 1)];
}

_Static_assert(EV_PARTS == 1 << 4, "four bits after the highest one");
_Static_assert(5 * STEP >= EV_DOUBLINGS, "five steps reach the longest wait");

static __always_inline void count_wait(struct ev_resolver *r, enum ev_wait which, __u64 ns)
{
	__u32 i = bucket_of(ns);

	ADD(r->buckets[which][i < EV_NR_BUCKETS ? i : EV_NR_BUCKETS - 1], 1);
	if (ns > r->max_ns[which])
		r->max_ns[which] = ns;
}

static __u64 between(__u64 from, __u64 to)
{
	return to > from ? to - from : 0;
}

static __always_inline void count_for_threads(const struct ev_fault *f, __u64 wait)
{
	struct ev_thread *t = thread_at(f->thread);
	struct ev_team *team = team_at(f->team);

	if (t) {
		ADD(t->faults, 1);
		ADD(t->wait_ns, wait);
	}
	if (!team)
		return;
	ADD(team->faults, 1);
	ADD(team->wait_ns, wait);
	if (f->team)
		goes_on(team, f->end_ns);
}

static void count_waits(struct ev_stats *st, const struct ev_fault *f)
{
	struct ev_resolver *r = resolver_at(f->op == EV_OP_NONE ? EV_NO_RESOLVER : f->resolver);
	__u64 wait = f->unmeasured ? 0 : between(f->start_ns, f->end_ns);

	count_for_threads(f, wait);
	if (!r)
		return;
	if (f->op != EV_OP_NONE)
		ADD(r->faults, 1);
	if (f->unmeasured) {
		ADD(st->unmeasured, 1);
		return;
	}
	count_wait(r, EV_WAIT, wait);
	if (!f->read_ns)
		return;
	count_wait(r, EV_WAIT_QUEUED, between(f->start_ns, f->read_ns));
	count_wait(r, EV_WAIT_HANDLED, between(f->read_ns, f->end_ns));
}

/* Not static, so that it is verified only once. */
__noinline int count_end(struct ev_fault *f)
{
	struct ev_stats *st = own_stats();

	if (!f)
		return 0;
	ADD(st->ended[KIND(f->kind)][END(f->end)], 1);
	count_waits(st, f);
	if (is_streaming() && !hand_out(f))
		ADD(st->lost, 1);
	return 0;
}
