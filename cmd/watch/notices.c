// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes that say why no faults are shown. */
#include <inttypes.h>
#include <stdio.h>

#include "cmd/watch/clock.h"
#include "cmd/watch/notices.h"
#include "cmd/watch/totals.h"

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
	look_at_userfaultfds(n, s);
	return 0;
}
