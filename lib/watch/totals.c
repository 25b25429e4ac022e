// SPDX-License-Identifier: LGPL-2.1-or-later
/* Totals of the faults that were watched. */
#include <string.h>

#include "lib/opts.h"
#include "lib/util.h"
#include "lib/watch/watch.h"

_Static_assert(EV_NR_ENDS <= UFFDCTL_MAX_ENDS && EV_NR_KINDS <= UFFDCTL_MAX_MODES, "the programs count no more");

static void add_cpu(struct ev_stats *sum, const struct ev_stats *cpu)
{
	for (int i = 0; i < EV_NR_KINDS; i++) {
		sum->faults[i] += cpu->faults[i];
		sum->messages[i] += cpu->messages[i];
		sum->marked[i] += cpu->marked[i];
		for (int k = 0; k < EV_NR_ENDS; k++)
			sum->ended[i][k] += cpu->ended[i][k];
	}
	sum->blocked += cpu->blocked;
	sum->delivered += cpu->delivered;
	sum->lost += cpu->lost;
	sum->missed += cpu->missed;
	sum->unmeasured += cpu->unmeasured;
}

static void read_stats(const struct uffdctl_watch *w, struct ev_stats *ret)
{
	*ret = (struct ev_stats){};
	/* Neither before what was read last time. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (int c = 0; c < EV_NR_STATS; c++)
		add_cpu(ret, &w->stats[c]);
}

/*
 * A fault is marked before its message is counted. So messages that were counted at one time, and whose faults are
 * not marked at a later time, belong to faults that were not seen otherwise: their threads neither slept nor were
 * woken, and were gone when the reader's call ended. Their number may decrease again: if a queue changed while it was
 * searched for a read message, a fault may have been missed there, and is marked when it ends.
 */
static void add_unseen(struct uffdctl_watch *w, struct ev_stats *sum)
{
	struct ev_stats later;

	read_stats(w, &later);
	for (int i = 0; i < EV_NR_KINDS; i++) {
		uint64_t unseen = sum->messages[i] > later.marked[i] ? sum->messages[i] - later.marked[i] : 0;

		sum->delivered += sum->marked[i];
		/* Messages of faults that found no room are counted, too: then the difference says nothing. */
		if (sum->missed)
			continue;
		sum->delivered += unseen;
		sum->faults[i] += unseen;
		sum->ended[i][EV_NOT_WAITED] += unseen;
		sum->unmeasured += unseen;
		sum->lost += w->config.flags & EV_WATCH_STREAM ? unseen : 0;
	}
}

static uint64_t sum_of(const __u64 *n, int nr)
{
	uint64_t sum = 0;

	for (int i = 0; i < nr; i++)
		sum += n[i];
	return sum;
}

UFFDCTL_EXPORT int uffdctl_watch_stats(struct uffdctl_watch *w, struct uffdctl_watch_stats *ret)
{
	struct uffdctl_watch_stats st;
	uint64_t faults, ended;
	struct ev_stats sum;
	int r = out_check(w->u, ret);

	if (r < 0)
		return r;
	read_stats(w, &sum);
	if (w->backend->flags & WATCH_MARKS)
		add_unseen(w, &sum);
	faults = sum_of(sum.faults, EV_NR_KINDS);
	ended = sum_of(sum.ended[0], EV_NR_KINDS * EV_NR_ENDS);
	st = (struct uffdctl_watch_stats){
		.before = w->nr_before,
		.before_left = watch_before_left(w),
		/* The CPUs' counters are read one after the other, while counting goes on. */
		.pending = faults > ended ? faults - ended : 0,
		.blocked = sum.blocked,
		.delivered = sum.delivered,
		.lost_events = sum.lost,
		.missed = sum.missed,
		.skipped = w->backend->skipped ? w->backend->skipped(w) : 0,
		.unknown_waits = sum.unmeasured,
	};
	if (w->backend->flags & WATCH_STEPS)
		st.blocked += st.pending;
	memcpy(st.faults, sum.faults, sizeof(sum.faults));
	for (int i = 0; i < EV_NR_KINDS; i++)
		for (int k = 0; k < EV_NR_ENDS; k++) {
			st.ended_by_kind[i][k] = sum.ended[i][k];
			st.ended[k] += sum.ended[i][k];
		}
	r = watch_sum_tally(w, &st);
	if (r < 0)
		return r;
	OUT_PUT(&st, ret);
	return 0;
}
