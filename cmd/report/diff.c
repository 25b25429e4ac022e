// SPDX-License-Identifier: GPL-2.0-or-later
/* Two recordings side by side. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/duration.h"
#include "cmd/json.h"
#include "cmd/report/report.h"
#include "lib/cleanup.h"

/* ---- one figure of both ---- */

/* What a figure is, which says how it is printed. */
enum unit {
	UNIT_COUNT,
	UNIT_RATE,
	UNIT_NS,
};

/* "-12.3%", "x4.1", "-" if it can't be said. */
static const char *change_text(char buf[32], double a, double b)
{
	if (isnan(a) || isnan(b) || a <= 0)
		snprintf(buf, 32, !isnan(a) && a == b ? "=" : "-");
	else if (b / a >= 3)
		snprintf(buf, 32, "x%.1f", b / a);
	else
		snprintf(buf, 32, "%+.1f%%", (b / a - 1) * 100);
	return buf;
}

static const char *figure_text(char buf[DURATION_SIZE], double n, enum unit unit)
{
	if (isnan(n))
		snprintf(buf, DURATION_SIZE, "-");
	else if (unit == UNIT_NS)
		duration_text(buf, (uint64_t)n, 0);
	else
		snprintf(buf, DURATION_SIZE, unit == UNIT_RATE ? "%.1f" : "%.0f", n);
	return buf;
}

static void put_figure(const char *name, double a, double b, enum unit unit)
{
	char a_text[DURATION_SIZE], b_text[DURATION_SIZE], change[32];

	printf("%-40s %12s %12s %9s\n", name, figure_text(a_text, a, unit), figure_text(b_text, b, unit),
	       change_text(change, a, b));
}

static void add_figure(json_object *o, const char *key, double a, double b)
{
	json_object *figure = json_object_new_object();

	json_object_object_add(figure, "a", isnan(a) ? NULL : json_object_new_double(a));
	json_object_object_add(figure, "b", isnan(b) ? NULL : json_object_new_double(b));
	json_object_object_add(figure, "ratio", isnan(a) || isnan(b) || a <= 0 ? NULL : json_object_new_double(b / a));
	json_object_object_add(o, key, figure);
}

/* As a line, or as a member of o. */
static void figure(json_object *o, const char *name, const char *key, double a, double b, enum unit unit)
{
	if (o)
		add_figure(o, key, a, b);
	else
		put_figure(name, a, b, unit);
}

/* ---- figures ---- */

static double known(uint64_t n)
{
	return n == UFFDCTL_UNKNOWN ? NAN : (double)n;
}

static double rate(const struct digest *d)
{
	uint64_t faults = totals_sum(d->stats.faults, NR_KINDS);

	return d->duration_ns ? (double)faults * 1e9 / (double)d->duration_ns : NAN;
}

static void totals(json_object *o, const struct digest *a, const struct digest *b)
{
	char name[64], key[64];

	figure(o, "duration", "duration_ns", known(a->duration_ns), known(b->duration_ns), UNIT_NS);
	figure(o, "faults", "faults", known(totals_sum(a->stats.faults, NR_KINDS)),
	       known(totals_sum(b->stats.faults, NR_KINDS)), UNIT_COUNT);
	figure(o, "faults/s", "faults_per_second", rate(a), rate(b), UNIT_RATE);
	for (int i = 0; i < NR_KINDS; i++) {
		int at = BY_KIND(totals_kind(i));

		snprintf(name, sizeof(name), "%s", uffdctl_kind_name(totals_kind(i)));
		if (o || a->stats.faults[at] || b->stats.faults[at])
			figure(o, name, name, known(a->stats.faults[at]), known(b->stats.faults[at]), UNIT_COUNT);
	}
	for (int i = 0; i < NR_WAITS * NR_PERCENTS; i++) {
		const struct totals_wait *w = &totals_waits[i / NR_PERCENTS];
		const struct totals_percent *p = &totals_percents[i % NR_PERCENTS];

		snprintf(name, sizeof(name), "%s %s", w->name, p->name);
		snprintf(key, sizeof(key), "%s_%s_ns", w->name, p->name);
		figure(o, name, key, known(totals_percentile(&a->stats, w, p->percent)),
		       known(totals_percentile(&b->stats, w, p->percent)), UNIT_NS);
	}
}

/* ---- by mapping ---- */

/* PIDs differ between two runs: the group with the same name. NULL: there is none. */
static const struct tally *same_name(const struct tallies *g, const struct tally *other)
{
	for (uint32_t i = 1; i <= g->nr; i++)
		if (g->list[i].key.text && other->key.text && !strcmp(g->list[i].key.text, other->key.text))
			return &g->list[i];
	return NULL;
}

static double percentile(const struct tally *g, int wait, double percent)
{
	return g && g->waits ? known(uffdctl_percentile_ns(g->waits[wait].buckets, g->waits[wait].max_ns, percent))
			     : NAN;
}

/* The figures of what one side calls first. */
static void tally_figures(json_object *array, const char *name, const struct tally *a, const struct tally *b)
{
	_cleanup_free_ char *escaped = NULL;
	const char *raw = name ?: "-";
	json_object *o = array ? json_object_new_object() : NULL;

	if (o) {
		json_text(o, "name", raw);
		json_object_array_add(array, o);
	} else {
		printf("%s\n", uffdctl_escape(raw, &escaped) < 0 ? "?" : escaped);
	}
	figure(o, "  faults", "faults", a ? known(a->faults) : 0, b ? known(b->faults) : 0, UNIT_COUNT);
	figure(o, "  wait p50", "wait_p50_ns", percentile(a, 0, 50), percentile(b, 0, 50), UNIT_NS);
	figure(o, "  wait p99", "wait_p99_ns", percentile(a, 0, 99), percentile(b, 0, 99), UNIT_NS);
	figure(o, "  queued p99", "queue_p99_ns", percentile(a, 1, 99), percentile(b, 1, 99), UNIT_NS);
	figure(o, "  handled p99", "handle_p99_ns", percentile(a, 2, 99), percentile(b, 2, 99), UNIT_NS);
}

/* Those of a, and then those that only b has. */
static void groups(json_object *array, const struct tallies *a, const struct tallies *b, size_t top)
{
	_cleanup_free_ const struct tally **of_a = NULL, **of_b = NULL;
	size_t nr_a = tallies_longest(a, top, &of_a), nr_b = tallies_longest(b, top, &of_b);

	for (size_t i = 0; i < nr_a; i++)
		tally_figures(array, of_a[i]->key.text, of_a[i], same_name(b, of_a[i]));
	for (size_t i = 0; i < nr_b; i++)
		if (!same_name(a, of_b[i]))
			tally_figures(array, of_b[i]->key.text, NULL, of_b[i]);
}

/* ---- all ---- */

static void put_recording(char letter, const struct recording *rec)
{
	_cleanup_free_ char *path = NULL, *selection = NULL;
	char wall[WALL_SIZE];

	printf("%c: %s, %s, %s%s\n", letter, uffdctl_escape(rec->files[0].path, &path) < 0 ? "?" : path,
	       wall_text(wall, rec->info.wall_ns),
	       uffdctl_escape(rec->info.selection ?: "", &selection) < 0 ? "?" : selection,
	       recording_is_whole(rec) ? "" : ": totals are those of the faults that were recorded");
}

static void diff_text(const struct report *r, const struct digest *a, const struct digest *b)
{
	put_recording('A', a->recording);
	put_recording('B', b->recording);
	printf("\n%-40s %12s %12s %9s\n", "", "A", "B", "CHANGE");
	totals(NULL, a, b);
	printf("\nBY MAPPING\n");
	groups(NULL, &a->mappings, &b->mappings, r->options->top);
	printf("\nBY RESOLVER\n");
	groups(NULL, &a->resolvers, &b->resolvers, r->options->top);
}

static void diff_json(const struct report *r, const struct digest *a, const struct digest *b)
{
	json_object *o = json_object_new_object();
	json_object *mappings = json_object_new_array(), *resolvers = json_object_new_array();

	json_text(o, "a", a->recording->files[0].path);
	json_text(o, "b", b->recording->files[0].path);
	totals(json_member(o, "totals"), a, b);
	groups(mappings, &a->mappings, &b->mappings, r->options->top);
	groups(resolvers, &a->resolvers, &b->resolvers, r->options->top);
	json_object_object_add(o, "mappings", mappings);
	json_object_object_add(o, "resolvers", resolvers);
	report_print(r->messages, o);
}

int report_diff(const struct report *r, struct recording *other)
{
	struct digest a, b;
	int err = report_digest(r, r->recording, &a);

	if (err < 0) {
		digest_free(&a);
		return err;
	}
	err = report_digest(r, other, &b);
	if (err >= 0 && r->options->json)
		diff_json(r, &a, &b);
	else if (err >= 0)
		diff_text(r, &a, &b);
	digest_free(&a);
	digest_free(&b);
	return err;
}
