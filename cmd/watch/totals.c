// SPDX-License-Identifier: GPL-2.0-or-later
/* Arithmetic with totals. */
#include "cmd/watch/totals.h"

enum uffdctl_kind totals_kind(int i)
{
	static const enum uffdctl_kind kinds[NR_KINDS] = { UFFDCTL_KIND_MINOR, UFFDCTL_KIND_MISSING, UFFDCTL_KIND_WP,
							   UFFDCTL_KIND_RWP };

	return kinds[i];
}

uint64_t totals_sum(const uint64_t *n, int nr)
{
	uint64_t sum = 0;

	for (int i = 0; i < nr; i++)
		sum += n[i];
	return sum;
}

uint64_t totals_most(const uint64_t *n, int nr)
{
	uint64_t most = 0;

	for (int i = 0; i < nr; i++)
		most = n[i] > most ? n[i] : most;
	return most;
}

uint64_t totals_grown(uint64_t now, uint64_t last)
{
	return now > last ? now - last : 0;
}

/* ---- waits ---- */

const struct totals_wait totals_waits[NR_WAITS] = {
	{ "wait", "wait_ns", offsetof(struct uffdctl_watch_stats, buckets),
	  offsetof(struct uffdctl_watch_stats, max_wait_ns) },
	{ "queued", "queue_ns", offsetof(struct uffdctl_watch_stats, queued),
	  offsetof(struct uffdctl_watch_stats, max_queued_ns) },
	{ "handled", "handle_ns", offsetof(struct uffdctl_watch_stats, handled),
	  offsetof(struct uffdctl_watch_stats, max_handled_ns) },
};

const struct totals_percent totals_percents[NR_PERCENTS] = {
	{ "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "max", 100 }
};

static uint64_t *number(struct uffdctl_watch_stats *st, size_t at)
{
	return (uint64_t *)((char *)st + at);
}

const uint64_t *totals_buckets(const struct uffdctl_watch_stats *st, const struct totals_wait *w)
{
	return (const uint64_t *)((const char *)st + w->buckets);
}

uint64_t totals_percentile(const struct uffdctl_watch_stats *st, const struct totals_wait *w, double percent)
{
	return uffdctl_percentile_ns(totals_buckets(st, w), *(const uint64_t *)((const char *)st + w->max), percent);
}

void totals_since(const struct uffdctl_watch_stats *now, const struct uffdctl_watch_stats *last,
		  struct uffdctl_watch_stats *ret)
{
	size_t first = offsetof(struct uffdctl_watch_stats, faults);

	*ret = *now;
	for (size_t at = first; at < sizeof(*ret); at += sizeof(uint64_t))
		*number(ret, at) = totals_grown(*number(ret, at), *(const uint64_t *)((const char *)last + at));
	ret->pending = now->pending;
	ret->before = now->before;
	ret->before_left = now->before_left;
	if (now->failed_ioctls == UFFDCTL_UNKNOWN)
		ret->failed_ioctls = UFFDCTL_UNKNOWN;
	/* The longest wait since the start; only if it is a new one, it was in this interval. */
	for (int i = 0; i < NR_WAITS; i++)
		*number(ret, totals_waits[i].max) =
			*number(ret, totals_waits[i].max) ? *(const uint64_t *)((const char *)now + totals_waits[i].max)
							  : UFFDCTL_UNKNOWN;
}
