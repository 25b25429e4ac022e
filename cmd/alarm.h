/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --wait of pending: sleeps until a thread waits, or none does. */
#ifndef CMD_ALARM_H
#define CMD_ALARM_H

#include "cmd/pids.h"

/* What to wait for. */
struct alarm {
	bool wait;		/* --wait */
	bool none;		/* --none: until no thread waits; otherwise until one does */
	uint64_t older_than_ns; /* threads count that have waited this long, or for an unknown time */
	uint64_t timeout_ns;	/* UFFDCTL_UNKNOWN: for ever */
};

/* Does it count? */
bool alarm_counts(const struct alarm *a, const struct uffdctl_waiter *w);

/*
 * Sleep until it comes true.
 * @pids: the processes of opts; when one has ended, this ends
 * @opts: whose threads
 * @ret: out, the waiters that were seen last, free with uffdctl_pending_free(); NULL after an error
 * 1: it came true; 0: the time is over; -EINTR: interrupted; -EACCES: whether no thread waits can't be known; or
 * another negative errno. Logged, except for -EINTR.
 */
int alarm_until(struct invocation *inv, const struct alarm *a, struct pids *pids, const struct uffdctl_find_opts *opts,
		struct uffdctl_pending **ret);

#endif
