// SPDX-License-Identifier: GPL-2.0-or-later
/* A report as text. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cmd/duration.h"
#include "cmd/report/report.h"
#include "cmd/watch/clock.h"
#include "cmd/watch/parts.h"
#include "cmd/watch/summary.h"
#include "lib/cleanup.h"

static const char *escape(const char *raw, char **ret)
{
	return !raw ? "-" : uffdctl_escape(raw, ret) < 0 ? "?" : *ret;
}

const char *wall_text(char buf[WALL_SIZE], uint64_t wall_ns)
{
	time_t s = (time_t)(wall_ns / SECOND);
	struct tm tm;

	if (!gmtime_r(&s, &tm) || !strftime(buf, WALL_SIZE, "%Y-%m-%d %H:%M:%S UTC", &tm))
		snprintf(buf, WALL_SIZE, "at an unknown time");
	return buf;
}

int report_digest(const struct report *r, struct recording *recording, struct digest *ret)
{
	int err = digest_init(ret, recording, r->options->top);

	if (err >= 0) {
		recording_read(recording, digest_add, ret);
		err = digest_finish(ret);
	}
	if (err < 0)
		error(r->messages, "out of memory");
	return err;
}

/* ---- the head ---- */

static void put_head(const struct recording *rec)
{
	_cleanup_free_ char *kernel = NULL, *backend = NULL, *selection = NULL, *program = NULL;
	char wall[WALL_SIZE];

	printf("recorded on %s, Linux %s, by uffdctl %s", wall_text(wall, rec->info.wall_ns),
	       escape(rec->info.kernel, &kernel), escape(rec->info.program, &program));
	printf(" with %s: %s\n", escape(rec->info.backend, &backend), escape(rec->info.selection, &selection));
}

/* What the numbers that follow are about. */
static void put_scope(const struct recording *rec)
{
	bool filtered = !filter_is_empty(rec->filter);
	uint64_t lost = rec->has_stats ? rec->stats.lost_events : 0;

	printf("%" PRIu64 " faults recorded", rec->nr_faults);
	if (lost)
		printf(", %" PRIu64 " lost", lost);
	if (filtered)
		printf("; of these, the %" PRIu64 " that were asked for", rec->nr_selected);
	if (rec->end == UFFDCTL_RECORD_CONTINUES)
		fputs("; the recording goes on in a file that was not given", stdout);
	else if (rec->end == UFFDCTL_RECORD_CUT)
		fputs("; the recording has no end, as after a kill", stdout);
	if (!recording_is_whole(rec))
		fputs(": totals are those of these faults", stdout);
	putchar('\n');
}

/* ---- tables ---- */

/* Percentiles in columns of eight characters. */
/* @width: of the median, whose heading also says of what it is */
static void put_waits(const struct waits *w, int width, bool with_max)
{
	static const double percents[] = { 50, 99, 100 };
	char text[DURATION_SIZE];

	for (int i = 0; i < (with_max ? 3 : 2); i++)
		printf(" %*s", i ? 8 : width,
		       duration_text(text,
				     w ? uffdctl_percentile_ns(w->buckets, w->max_ns, percents[i]) : UFFDCTL_UNKNOWN,
				     0));
}

static void put_tally_waits(const struct tally *g)
{
	put_waits(g->waits, 8, true);
	put_waits(g->waits + 1, 10, false);
	put_waits(g->waits + 2, 11, false);
}

#define WAITS_HEADING " WAIT p50      p99      max QUEUED p50      p99 HANDLED p50      p99"

static void put_resolver(const struct tally *g)
{
	_cleanup_free_ char *comm = NULL;

	printf("%8d %8d %-24.64s %10" PRIu64, g->key.pid, g->key.tid, escape(g->key.text, &comm), g->faults);
	put_tally_waits(g);
	putchar('\n');
}

static void put_mapping(const struct tally *g)
{
	_cleanup_free_ char *name = NULL;

	printf("%8d %-33.128s %10" PRIu64, g->key.pid, g->key.text && !*g->key.text ? "-" : escape(g->key.text, &name),
	       g->faults);
	put_tally_waits(g);
	putchar('\n');
}

static void put_sums(const struct tally *g)
{
	char sum[DURATION_SIZE], each[DURATION_SIZE], max[DURATION_SIZE];

	printf(" %10" PRIu64 " %8s %8s %8s", g->faults, duration_text(sum, g->wait_ns, 0),
	       duration_text(each, g->wait_ns / g->faults, 0), duration_text(max, g->max_wait_ns, 0));
}

static void put_thread(const struct tally *g)
{
	_cleanup_free_ char *comm = NULL;

	printf("%8d %8d %-15.64s", g->key.pid, g->key.tid, escape(g->key.text, &comm));
	put_sums(g);
	putchar('\n');
}

static void put_instruction(const struct tally *g)
{
	_cleanup_free_ char *symbol = NULL;

	put_sums(g);
	if (g->key.text)
		printf(" %s\n", escape(g->key.text, &symbol));
	else
		printf(" 0x%" PRIx64 "\n", g->key.number);
}

static void put_tallies(const struct tallies *g, size_t top, const char *heading, void (*put)(const struct tally *g))
{
	_cleanup_free_ const struct tally **list = NULL;
	size_t nr = tallies_longest(g, top, &list);

	if (!nr)
		return;
	printf("\n%s\n", heading);
	for (size_t i = 0; i < nr; i++)
		put(list[i]);
	if (g->nr > nr)
		printf("%u more: see --top and --json\n", (unsigned int)(g->nr - nr));
	if (tallies_left_out(g))
		printf("%" PRIu64 " faults of still others are not in this table, which is full with %u\n",
		       tallies_left_out(g), (unsigned int)g->max);
}

/* ---- the longest waits ---- */

static void put_long_wait(const struct digest *d, const struct long_wait *w)
{
	_cleanup_free_ char *comm = NULL, *resolver = NULL, *name = NULL, *symbol = NULL, *op = NULL;
	char wait[DURATION_SIZE], queued[DURATION_SIZE];
	const struct uffdctl_fault *f = &w->fault;

	printf("%11.6f %8d %-15.64s %-7s %9s %9s %-10s %-15.64s ", (double)recording_time(d->recording, f) / 1e9,
	       f->tid, escape(f->comm, &comm), uffdctl_kind_name(f->kind), duration_text(wait, f->wait_ns, 0),
	       duration_text(queued, f->queue_ns, 0), f->op ? escape(f->op, &op) : uffdctl_end_name(f->end),
	       f->resolver_pid ? escape(f->resolver_comm, &resolver) : "-");
	printf("%" PRIx64 " ", f->addr);
	fputs(f->name && *f->name ? escape(f->name, &name) : "-", stdout);
	if (f->offset != UFFDCTL_UNKNOWN)
		printf("+0x%" PRIx64, f->offset);
	if (w->symbol)
		printf(" %s", escape(w->symbol, &symbol));
	putchar('\n');
}

static void put_longest(const struct digest *d)
{
	if (!d->nr_longest)
		return;
	printf("\n%11s %8s %-15s %-7s %9s %9s %-10s %-15s %s\n", "TIME", "TID", "LONGEST WAITS", "KIND", "WAIT",
	       "QUEUED", "ENDED", "RESOLVER", "ADDR NAME SYMBOL");
	for (size_t i = 0; i < d->nr_longest; i++)
		put_long_wait(d, &d->longest[i]);
}

/* ---- all ---- */

int report_text(const struct report *r)
{
	size_t top = r->options->top;
	struct digest d;
	int err = report_digest(r, r->recording, &d);

	if (err >= 0) {
		put_head(r->recording);
		put_scope(r->recording);
		summary_totals_text(&d.session, &d.stats, d.duration_ns);
		teams_text(&d.session);
		failures_text(&d.session);
		put_tallies(&d.resolvers, top, "     PID      TID WHO RESOLVED                 FAULTS" WAITS_HEADING,
			    put_resolver);
		put_tallies(&d.mappings, top, "     PID MAPPING                               FAULTS" WAITS_HEADING,
			    put_mapping);
		put_tallies(&d.threads, top, "     PID      TID WHO WAITED          FAULTS    TOTAL  AVERAGE      MAX",
			    put_thread);
		put_longest(&d);
		put_tallies(&d.instructions, top, "     FAULTS    TOTAL  AVERAGE      MAX INSTRUCTION",
			    put_instruction);
	}
	digest_free(&d);
	return err;
}
