// SPDX-License-Identifier: GPL-2.0-or-later
/* --wait of pending: sleeps until a thread waits, or none does. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cmd/alarm.h"
#include "cmd/interrupt.h"

#define MS UINT64_C(1000000)

/* From one look to the next, at least. */
#define MIN_GAP_NS (10 * MS)
/* Without BPF nothing tells when to look. */
#define BLIND_GAP_NS (20 * MS)
/* A thread has waited this long before it is seen to wait, by looking once in that time: nobody needs to tell. */
#define LOOK_NS (1000 * MS)

/* slept_ns may be behind by a tick of the scheduler: do not look in vain just before the time. */
#define TICK_NS (5 * MS)

struct sleeper {
	struct invocation *inv;
	const struct alarm *a;
	struct pids *pids;
	const struct uffdctl_find_opts *opts;
	struct uffdctl_alarm *bell; /* NULL: not needed, or not to be had */
	bool by_age;		    /* looking once in older_than_ns suffices */
	uint64_t end_ns;
	uint64_t looked_ns; /* the end of the last look */
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static uint64_t later(uint64_t time, uint64_t ns)
{
	return ns < UINT64_MAX - time ? time + ns : UINT64_MAX;
}

bool alarm_counts(const struct alarm *a, const struct uffdctl_waiter *w)
{
	return w->slept_ns >= a->older_than_ns;
}

/* Whether it is true, and if not, how long it is bound to stay so if nobody tells. */
static bool is_true(const struct sleeper *s, const struct uffdctl_pending *p, uint64_t *ret_ns)
{
	size_t nr = uffdctl_pending_count(p);
	uint64_t oldest = 0;
	bool any = false;

	for (size_t i = 0; i < nr; i++) {
		const struct uffdctl_waiter *w = uffdctl_pending_get(p, i);

		any |= alarm_counts(s->a, w);
		if (!any && w->slept_ns > oldest)
			oldest = w->slept_ns;
	}
	*ret_ns = s->a->none || (!nr && !s->by_age) ? UINT64_MAX : s->a->older_than_ns - oldest + TICK_NS;
	return any != s->a->none;
}

/* Sleep; true: no signal has come. */
static bool sleep_ns(uint64_t ns)
{
	struct timespec t = { ns / 1000000000, ns % 1000000000 };

	return !interrupted() && nanosleep(&t, NULL) == 0 && !interrupted();
}

/*
 * Sleep for this time, or until somebody tells; and look once a second whether the processes are there, which nobody
 * tells. 1, -EINTR or another negative errno.
 */
static int sleep_checked(struct sleeper *s, uint64_t ns, bool until_told)
{
	uint64_t end = later(clock_ns(), ns), now;
	int r = 0;

	while (r == 0 && (now = clock_ns()) < end) {
		uint64_t left = end - now < LOOK_NS || !s->opts->nr_pids ? end - now : LOOK_NS;

		if (until_told)
			r = uffdctl_alarm_wait(s->bell, left);
		else
			sleep_ns(left);
		if (interrupted())
			return -EINTR;
		if (r == 0)
			r = pids_check(s->pids, s->inv);
	}
	return r < 0 ? r : 1;
}

/*
 * Sleep until it is worth looking again: for this time, or until somebody tells. 1; 0: the time to wait is over; or a
 * negative errno.
 */
static int sleep_on(struct sleeper *s, uint64_t ns)
{
	uint64_t now = clock_ns(), left = now < s->end_ns ? s->end_ns - now : 0;
	bool until_told = s->bell && ns == UINT64_MAX;
	int r;

	if (!left)
		return 0;
	if (!s->bell && !s->by_age && ns > BLIND_GAP_NS)
		ns = BLIND_GAP_NS;
	ns = ns < MIN_GAP_NS ? MIN_GAP_NS : ns;
	r = sleep_checked(s, ns < left ? ns : left, until_told);
	now = clock_ns();
	return r < 0 || now > s->looked_ns + MIN_GAP_NS || sleep_ns(s->looked_ns + MIN_GAP_NS - now) ? r : -EINTR;
}

static enum uffdctl_alarm_event event_of(const struct alarm *a)
{
	if (!a->none)
		return UFFDCTL_ALARM_WAITS;
	return a->older_than_ns ? UFFDCTL_ALARM_GOES_ON : UFFDCTL_ALARM_NONE;
}

static void open_bell(struct sleeper *s)
{
	const struct uffdctl_find_opts opts = { sizeof(opts), s->opts->pids, s->opts->nr_pids, 0, 0 };
	int r;

	s->by_age = !s->a->none && s->a->older_than_ns >= LOOK_NS;
	if (s->by_age || s->opts->source == UFFDCTL_SOURCE_PROC)
		return;
	r = uffdctl_alarm_open(s->inv->context, &opts, &s->bell);
	if (r < 0)
		note(&s->inv->messages, "without BPF it looks every 20 ms, which costs CPU time (%s)", strerror(-r));
}

static int look(struct sleeper *s, struct uffdctl_pending **ret)
{
	int r = pids_check(s->pids, s->inv);

	if (r >= 0 && s->bell)
		r = uffdctl_alarm_arm(s->bell, event_of(s->a));

	uffdctl_pending_free(*ret);
	*ret = NULL;
	if (r >= 0)
		r = uffdctl_pending(s->inv->context, s->opts, ret);
	s->looked_ns = clock_ns();
	if (r < 0 || !s->a->none || !uffdctl_pending_hidden(*ret))
		return r;
	error(&s->inv->messages,
	      "it can't be known that no thread waits: %zu processes can't be inspected (run as root, or give PIDs)",
	      uffdctl_pending_hidden(*ret));
	return -EACCES;
}

int alarm_until(struct invocation *inv, const struct alarm *a, struct pids *pids, const struct uffdctl_find_opts *opts,
		struct uffdctl_pending **ret)
{
	struct sleeper s = { inv, a, pids, opts, NULL, false, later(clock_ns(), a->timeout_ns), 0 };
	uint64_t ns;
	int r;

	*ret = NULL;
	interrupts_catch(true);
	open_bell(&s);
	do {
		r = look(&s, ret);
		if (r < 0 || is_true(&s, *ret, &ns)) {
			r = r < 0 ? r : 2;
			break;
		}
		r = sleep_on(&s, ns);
	} while (r == 1);
	uffdctl_alarm_close(s.bell);
	if (r < 0) {
		uffdctl_pending_free(*ret);
		*ret = NULL;
	}
	return r == 2 ? 1 : r;
}
