// SPDX-License-Identifier: GPL-2.0-or-later
/* Totals as text and as JSON, from one table of their members. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "cmd/duration.h"
#include "cmd/json.h"
#include "cmd/watch/summary.h"
#include "cmd/watch/totals.h"

#define BAR "########################################"

/* The members of a summary, in this order. */
static const struct total {
	const char *object, *key; /* in JSON; the object that it is in, or NULL */
	const char *before;	  /* the text before it */
	size_t count;		  /* where its number is; or */
	double percentile;	  /* of the waits */
} totals[] = {
#define COUNT(field) offsetof(struct uffdctl_watch_stats, field), 0
	{ "faults", "minor", ": minor ", COUNT(faults[BY_KIND(UFFDCTL_KIND_MINOR)]) },
	{ "faults", "missing", ", missing ", COUNT(faults[BY_KIND(UFFDCTL_KIND_MISSING)]) },
	{ "faults", "wp", ", wp ", COUNT(faults[BY_KIND(UFFDCTL_KIND_WP)]) },
	{ "faults", "rwp", ", rwp ", COUNT(faults[BY_KIND(UFFDCTL_KIND_RWP)]) },
	{ NULL, "delivered", "\ndelivered ", COUNT(delivered) },
	{ NULL, "blocked", ", blocked ", COUNT(blocked) },
	{ "ended", "woken", ", woken ", COUNT(ended[UFFDCTL_END_WOKEN]) },
	{ "ended", "signal", ", signal ", COUNT(ended[UFFDCTL_END_SIGNAL]) },
	{ "ended", "released", ", released ", COUNT(ended[UFFDCTL_END_RELEASED]) },
	{ "ended", "not_waited", ", not waited ", COUNT(ended[UFFDCTL_END_NOT_WAITED]) },
	{ NULL, "pending", ", pending ", COUNT(pending) },
	{ NULL, "pending_before", "; waited before ", COUNT(before) },
	{ NULL, "lost_events", "; events lost ", COUNT(lost_events) },
	{ NULL, "missed", ", missed ", COUNT(missed) },
	{ NULL, "unknown_waits", ", unknown waits ", COUNT(unknown_waits) },
	{ "wait_ns", "p50", "\nwait p50 <= ", 0, 50 },
	{ "wait_ns", "p90", ", p90 <= ", 0, 90 },
	{ "wait_ns", "p99", ", p99 <= ", 0, 99 },
	{ "wait_ns", "max", ", max ", 0, 100 },
#undef COUNT
};

#define NR_TOTALS (sizeof(totals) / sizeof(totals[0]))

static uint64_t value_of(const struct total *t, const struct uffdctl_watch_stats *st)
{
	if (t->percentile > 0)
		return totals_percentile(st, t->percentile);
	return *(const uint64_t *)((const char *)st + t->count);
}

/* ---- text ---- */

static void put_total(const struct total *t, const struct uffdctl_watch_stats *st)
{
	uint64_t value = value_of(t, st);
	char duration[DURATION_SIZE];

	if (t->percentile <= 0)
		printf("%s%" PRIu64, t->before, value);
	else if (value != UFFDCTL_UNKNOWN)
		printf("%s%s", t->before, duration_text(duration, value, 0));
}

static void put_histogram(const struct uffdctl_watch_stats *st)
{
	uint64_t most = totals_most(st->buckets, UFFDCTL_NR_BUCKETS);
	char duration[DURATION_SIZE];

	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++) {
		uint64_t n = st->buckets[i], bound = uffdctl_bucket_bound_ns(i);

		if (n)
			printf("%10s %10" PRIu64 " %.*s\n",
			       bound == UFFDCTL_UNKNOWN ? "more" : duration_text(duration, bound, 0), n,
			       (int)(n * (sizeof(BAR) - 1) / most), BAR);
	}
}

void summary_text(const struct uffdctl_watch_stats *st, uint64_t duration_ns, const char *backend)
{
	printf("%" PRIu64 " faults in %.1f s (%s)", totals_sum(st->faults, NR_KINDS), (double)duration_ns / 1e9,
	       backend);
	for (size_t i = 0; i < NR_TOTALS; i++)
		put_total(&totals[i], st);
	putchar('\n');
	put_histogram(st);
}

/* ---- JSON ---- */

static void add_histogram(json_object *o, const struct uffdctl_watch_stats *st)
{
	json_object *histogram = json_object_new_array();

	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++) {
		json_object *bucket = json_object_new_object();

		json_number(bucket, "le_ns", uffdctl_bucket_bound_ns(i));
		json_number(bucket, "count", st->buckets[i]);
		json_object_array_add(histogram, bucket);
	}
	json_object_object_add(o, "histogram", histogram);
}

void summary_json(const char *type, const struct uffdctl_watch_stats *st, uint64_t duration_ns, const char *backend)
{
	json_object *o = json_object_new_object();

	json_text(o, "type", type);
	json_number(o, "duration_ns", duration_ns);
	for (size_t i = 0; i < NR_TOTALS; i++) {
		const struct total *t = &totals[i];

		json_number(t->object ? json_member(o, t->object) : o, t->key, value_of(t, st));
	}
	add_histogram(o, st);
	json_text(o, "backend", backend);
	json_print(o);
}
