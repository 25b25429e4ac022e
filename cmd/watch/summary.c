// SPDX-License-Identifier: GPL-2.0-or-later
/* Totals as text and as JSON, from one table of their members. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cmd/duration.h"
#include "cmd/json.h"
#include "cmd/watch/parts.h"
#include "cmd/watch/summary.h"
#include "cmd/watch/totals.h"

#define BAR "########################################"

/* The counts of a summary, in this order. */
static const struct total {
	const char *object, *key; /* in JSON; the object that it is in, or NULL */
	const char *before;	  /* the text before it */
	size_t count;		  /* where its number is */
	bool is_rare;		  /* 0 is not shown in text */
} totals[] = {
#define COUNT(field) offsetof(struct uffdctl_watch_stats, field), false
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
	{ NULL, "programs_skipped", ", programs skipped ", offsetof(struct uffdctl_watch_stats, skipped), true },
	{ NULL, "failed_ioctls", ", ioctls failed ", COUNT(failed_ioctls) },
#undef COUNT
};

#define NR_TOTALS (sizeof(totals) / sizeof(totals[0]))

static uint64_t value_of(const struct total *t, const struct uffdctl_watch_stats *st)
{
	return *(const uint64_t *)((const char *)st + t->count);
}

/* ---- text ---- */

static void percentiles_text(const struct uffdctl_watch_stats *st, const struct totals_wait *w)
{
	const char *before = " ";
	char duration[DURATION_SIZE];
	uint64_t nr;

	fputs(w->name, stdout);
	for (int i = 0; i < NR_PERCENTS; i++) {
		uint64_t ns = totals_percentile(st, w, totals_percents[i].percent);

		if (ns == UFFDCTL_UNKNOWN)
			continue;
		printf("%s%s %s%s", before, totals_percents[i].name, i + 1 < NR_PERCENTS ? "<= " : "",
		       duration_text(duration, ns, 0));
		before = ", ";
	}
	nr = totals_sum(totals_buckets(st, w), UFFDCTL_NR_BUCKETS);
	printf(" (%" PRIu64 " fault%s)", nr, nr == 1 ? "" : "s");
}

/* A line for each doubling, which is easier to read than all buckets. */
static void put_histogram(const struct uffdctl_watch_stats *st)
{
	uint64_t counts[UFFDCTL_NR_BUCKETS] = {}, bounds[UFFDCTL_NR_BUCKETS], most;
	char duration[DURATION_SIZE];
	int nr = 0;

	for (unsigned int i = 0; i < UFFDCTL_NR_BUCKETS; i++) {
		uint64_t bound = uffdctl_bucket_bound_ns(i);

		counts[nr] += st->buckets[i];
		/* A power of two ends a line. */
		if (bound == UFFDCTL_UNKNOWN || !(bound & (bound - 1)))
			bounds[nr++] = bound;
	}
	most = totals_most(counts, nr);
	for (int i = 0; i < nr; i++)
		if (counts[i])
			printf("%10s %10" PRIu64 " %.*s\n",
			       bounds[i] == UFFDCTL_UNKNOWN ? "more" : duration_text(duration, bounds[i], 0), counts[i],
			       (int)(counts[i] * (sizeof(BAR) - 1) / most), BAR);
}

/* What is not known is left out, with the comma before the next one on a line. */
static void put_totals(const struct uffdctl_watch_stats *st)
{
	bool left_out = false;

	for (size_t i = 0; i < NR_TOTALS; i++) {
		uint64_t n = value_of(&totals[i], st);

		if (totals[i].is_rare && !n)
			continue;
		if (n == UFFDCTL_UNKNOWN) {
			left_out |= totals[i].before[0] == '\n';
			continue;
		}
		printf("%s%s%" PRIu64, left_out ? "\n" : "", totals[i].before + (left_out ? strlen(", ") : 0), n);
		left_out = false;
	}
}

void summary_totals_text(const struct watch_session *s, const struct uffdctl_watch_stats *st, uint64_t duration_ns)
{
	printf("%" PRIu64 " faults in %.1f s (%s)", totals_sum(st->faults, NR_KINDS), (double)duration_ns / 1e9,
	       s->backend);
	put_totals(st);
	for (int i = 0; i < NR_WAITS; i++) {
		if (!totals_sum(totals_buckets(st, &totals_waits[i]), UFFDCTL_NR_BUCKETS))
			continue;
		putchar('\n');
		percentiles_text(st, &totals_waits[i]);
	}
	putchar('\n');
	put_histogram(st);
}

void summary_text(const struct watch_session *s, const struct uffdctl_watch_stats *st, uint64_t duration_ns)
{
	summary_totals_text(s, st, duration_ns);
	parts_text(s);
}

/* ---- JSON ---- */

static void add_histogram(json_object *o, const struct uffdctl_watch_stats *st)
{
	json_object *histogram = json_object_new_array();

	for (unsigned int i = 0; i < UFFDCTL_NR_BUCKETS; i++) {
		json_object *bucket = st->buckets[i] ? json_object_new_object() : NULL;

		if (!bucket)
			continue;
		json_number(bucket, "le_ns", uffdctl_bucket_bound_ns(i));
		json_number(bucket, "count", st->buckets[i]);
		json_object_array_add(histogram, bucket);
	}
	json_object_object_add(o, "histogram", histogram);
}

static void add_totals(json_object *o, const struct uffdctl_watch_stats *st, uint64_t duration_ns)
{
	json_number(o, "duration_ns", duration_ns);
	for (size_t i = 0; i < NR_TOTALS; i++)
		json_number(totals[i].object ? json_member(o, totals[i].object) : o, totals[i].key,
			    value_of(&totals[i], st));
	for (int i = 0; i < NR_WAITS; i++)
		percentiles_json(o, totals_waits[i].key, totals_buckets(st, &totals_waits[i]),
				 totals_percentile(st, &totals_waits[i], 100));
	json_number(json_member(o, totals_waits[0].key), "sum", st->sum_wait_ns);
	add_histogram(o, st);
}

static json_object *begin(const struct watch_session *s, const char *type, const struct uffdctl_watch_stats *st,
			  uint64_t duration_ns)
{
	json_object *o = json_object_new_object();

	json_text(o, "type", type);
	add_totals(o, st, duration_ns);
	json_text(o, "backend", s->backend);
	return o;
}

json_object *summary_object(const struct watch_session *s, const struct uffdctl_watch_stats *st, uint64_t duration_ns)
{
	json_object *o = begin(s, "summary", st, duration_ns);

	parts_json(s, st, o);
	return o;
}

void summary_json(const struct watch_session *s, const struct uffdctl_watch_stats *st, uint64_t duration_ns)
{
	json_print(summary_object(s, st, duration_ns));
}

void interval_json(const struct watch_session *s, const struct uffdctl_watch_stats *st,
		   const struct uffdctl_watch_stats *since, uint64_t duration_ns, uint64_t since_ns)
{
	json_object *o = begin(s, "interval", since, since_ns), *total = json_member(o, "total");

	add_totals(total, st, duration_ns);
	resolvers_json(s, total);
	json_print(o);
}
