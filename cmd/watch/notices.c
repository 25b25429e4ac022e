// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes that say why no faults are shown. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cmd/duration.h"
#include "cmd/watch/clock.h"
#include "cmd/watch/notices.h"
#include "cmd/watch/totals.h"
#include "lib/cleanup.h"

/* Resolving a fault takes microseconds to milliseconds, rarely longer. */
#define LONG_NS SECOND
#define STUCK_NS (3 * SECOND)

/* "4211: " if one process is watched, otherwise "". */
static const char *subject(const struct watch_options *o, char buf[16])
{
	*buf = '\0';
	if (o->pids.nr == 1)
		snprintf(buf, 16, "%d: ", o->pids.list[0]);
	return buf;
}

void notices_ungoverned(const struct watch_options *o, char *buf, size_t size)
{
	char pid[16];

	snprintf(buf, size, "%sno userfaultfd governs %s yet; see uffdctl list", subject(o, pid),
		 o->pids.nr == 1 ? "its memory" : "the memory of any of these processes");
}

/* The command that shows them: for one process, only its own. */
static void say_waiters(const struct watch_session *s, uint64_t nr, const char *what)
{
	const struct watch_options *o = s->options;
	char pid[16] = "", before[16];

	if (o->pids.nr == 1)
		snprintf(pid, sizeof(pid), " %d", o->pids.list[0]);
	note(s->messages, "%s%" PRIu64 " thread%s %s: see uffdctl pending%s", subject(o, before), nr,
	     nr == 1 ? " has" : "s have", what, pid);
}

/* ---- threads that wait ---- */

/* Once, and again only after a thread has gone on. */
static void look_at_waits(struct notices *n, const struct watch_session *s, const struct uffdctl_watch_stats *st,
			  uint64_t now, bool say)
{
	uint64_t nr_done = totals_sum(st->ended, UFFDCTL_MAX_ENDS) + st->before - st->before_left;
	uint64_t nr = st->pending + st->before_left;

	if (nr_done != n->nr_done)
		n->nr_told = 0;
	if (nr_done != n->nr_done || nr <= n->nr_told) {
		n->waiting_ns = 0;
	} else if (!n->waiting_ns) {
		n->waiting_ns = now;
		n->nr_waiting = nr;
	}
	n->nr_done = nr_done;
	if (!say || !n->waiting_ns || now - n->waiting_ns < STUCK_NS)
		return;
	say_waiters(s, n->nr_waiting, "waited for more than 3 seconds, and no fault has ended meanwhile");
	n->nr_told = UINT64_MAX;
}

/* Those of a healthy process have long gone on. */
static void look_at_before(struct notices *n, const struct watch_session *s, const struct uffdctl_watch_stats *st,
			   uint64_t now)
{
	if (n->told_before || now - uffdctl_watch_began_ns(s->watch) < LONG_NS)
		return;
	n->told_before = true;
	if (!st->before_left)
		return;
	say_waiters(s, st->before_left, "waited since before watching began");
	n->nr_told = st->before_left;
}

/* ---- events that are not read ---- */

static uint64_t count_again(const struct watch_session *s)
{
	const struct uffdctl_failure_totals *f;
	uint64_t nr = 0;

	for (size_t at = 0; (f = uffdctl_watch_failure(s->watch, &at));)
		nr += f->error == EAGAIN ? f->count : 0;
	return nr;
}

static bool is_event(const struct uffdctl_waiter *w)
{
	return w->kind >= UFFDCTL_KIND_FORK;
}

static void say_event(const struct watch_session *s, const struct uffdctl_waiter *w)
{
	_cleanup_free_ char *comm = NULL;
	char duration[DURATION_SIZE], pid[16];

	note(s->messages,
	     "%sfilling pages fails with EAGAIN until the handler reads the event %s of thread %d (%s), which waits since %s: see uffdctl pending",
	     subject(s->options, pid), uffdctl_kind_name(w->kind), w->tid,
	     uffdctl_escape(w->comm, &comm) < 0 ? "?" : comm, duration_text(duration, w->slept_ns, 0));
}

/* The kernel fills no pages while there are any. Once for each thread that waits with one. */
static void look_at_events(struct notices *n, const struct watch_session *s)
{
	const struct uffdctl_find_opts opts = { sizeof(opts), s->options->pids.list, s->options->pids.nr, 0, 0 };
	uint64_t nr = count_again(s), before = n->nr_again;
	struct uffdctl_pending *p;

	n->nr_again = nr;
	if (nr == before || uffdctl_pending(s->u, &opts, &p) < 0)
		return;
	for (size_t i = 0; i < uffdctl_pending_count(p); i++) {
		const struct uffdctl_waiter *w = uffdctl_pending_get(p, i);

		if (!is_event(w))
			continue;
		/* The first one has waited longest. */
		if (w->tid != n->told_event)
			say_event(s, w);
		n->told_event = w->tid;
		break;
	}
	uffdctl_pending_free(p);
}

/* ---- userfaultfds ---- */

static void look_at_userfaultfds(struct notices *n, const struct watch_session *s)
{
	const struct watch_options *o = s->options;
	bool were_closed = n->closed;
	char pid[16];
	int r;

	if (!o->pids.nr || uffdctl_watch_ended(s->watch))
		return;
	r = uffdctl_watch_governed(s->watch);
	if (r > 0 || s->governed || n->nr_done)
		n->governed = true;
	n->closed = r == 0 && n->governed;
	if (n->closed && !were_closed && !o->until_closed)
		note(s->messages,
		     "%sthe last userfaultfd that governed %s memory was closed (--until-closed ends then)",
		     subject(o, pid), o->pids.nr == 1 ? "its" : "their");
}

/* ---- all ---- */

int notices_look(struct notices *n, const struct watch_session *s, bool say_waits)
{
	struct uffdctl_watch_stats st = { .size = sizeof(st) };
	uint64_t now = monotonic_ns();
	int r;

	if (now < n->look_ns)
		return 0;
	n->look_ns = now + SECOND;
	r = uffdctl_watch_stats(s->watch, &st);
	if (r < 0)
		return r;
	if (say_waits)
		look_at_before(n, s, &st, now);
	look_at_waits(n, s, &st, now, say_waits);
	look_at_events(n, s);
	look_at_userfaultfds(n, s);
	return 0;
}
