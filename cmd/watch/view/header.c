// SPDX-License-Identifier: GPL-2.0-or-later
/* The top of the view: what is watched, rates, and waits. */
#include <inttypes.h>
#include <stdio.h>

#include "cmd/watch/totals.h"
#include "cmd/watch/view/header.h"
#include "cmd/watch/view/text.h"
#include "lib/cleanup.h"

/* Maximum width of a name: longer than a comm, except for escapes. */
#define MAX_COMM 24

/* ---- the first line ---- */

static void add_target(struct line *l, const struct target *t)
{
	int width = text_width(t->comm, l->utf8);

	line_addf(l, STYLE_STRONG, "%d ", t->pid);
	line_field(l, t->gone ? STYLE_DIM : STYLE_PLAIN, t->comm, width < MAX_COMM ? width : MAX_COMM, false);
	if (t->gone)
		line_add(l, STYLE_WARN, " (ended)");
}

/* The given processes, as many as there is room for. */
static void add_targets(const struct picture *p, struct line *l, int end)
{
	const struct scan *scan = &p->m->scan;
	int max = l->max;
	size_t i;

	if (!p->nr_pids) {
		line_add(l, STYLE_PLAIN, "all processes");
		return;
	}
	l->max = end;
	for (i = 0; i < scan->nr_targets; i++) {
		const struct target *t = &scan->targets[i];
		int need = 10 + text_width(t->comm, l->utf8) + (t->gone ? 8 : 0);

		if (i && l->cols + need + 4 > end)
			break;
		line_add(l, STYLE_PLAIN, i ? ", " : "");
		add_target(l, t);
	}
	if (i < scan->nr_targets)
		line_addf(l, STYLE_PLAIN, " +%zu", scan->nr_targets - i);
	l->max = max;
}

/* A graph of the last minute, newest at the right, scaled to the highest second. */
static void add_sparkline(const struct picture *p, struct line *l, int width)
{
	uint64_t rates[VIEW_NR_SAMPLES], most = 1;
	size_t n = model_rates(p->m, rates, width < VIEW_NR_SAMPLES ? (size_t)width : VIEW_NR_SAMPLES - 1);

	for (size_t i = 0; i < n; i++)
		most = rates[i] > most ? rates[i] : most;
	line_to(l, STYLE_PLAIN, l->cols + width - (int)n, " ");
	for (size_t i = 0; i < n; i++) {
		int level = (int)((double)rates[i] * 8 / (double)most + 0.999);

		line_add(l, rates[i] ? STYLE_GOOD : STYLE_DIM, text_shade(level ?: l->utf8, l->utf8));
	}
}

static void first_line(const struct picture *p, int width, struct line *l)
{
	bool narrow = width < SCREEN_WIDE;
	char uptime[NUM_SIZE], rate[NUM_SIZE];
	_cleanup_free_ char *right = NULL;
	int spark = 12, end;

	text_uptime(uptime, p->m->now_ns - p->m->began_ns);
	text_count(rate, model_rate(p->m, -1), 7);
	if (asprintf(&right, "  %s%s  %s %7s%s ", p->paused ? "PAUSED  " : "", p->m->backend, uptime, rate,
		     narrow ? "/s" : " faults/s") < 0)
		return;
	end = width - spark - 1 - text_width(right, l->utf8);
	line_add(l, STYLE_TITLE, narrow ? "" : "uffdctl watch ");
	add_targets(p, l, end);
	/* Show a whole minute, if the names leave room for it. */
	spark += end - l->cols;
	spark = spark < VIEW_NR_SAMPLES - 1 ? spark : VIEW_NR_SAMPLES - 1;
	end = width - spark - 1 - text_width(right, l->utf8);
	line_to(l, STYLE_PLAIN, end, " ");
	line_add(l, p->paused ? STYLE_WARN : STYLE_STRONG, right);
	add_sparkline(p, l, spark);
}

/* ---- the others ---- */

static void add_number(struct line *l, const char *name, const char *value, const char *unit, enum style style)
{
	line_addf(l, STYLE_PLAIN, "%s ", name);
	line_add(l, style, value);
	line_add(l, STYLE_PLAIN, unit);
}

static void second_line(const struct picture *p, struct line *l)
{
	const struct uffdctl_watch_stats *st = &p->m->stats;
	bool narrow = l->max < SCREEN_WIDE;
	char num[NUM_SIZE];

	for (int i = 0; i < NR_KINDS; i++) {
		enum uffdctl_kind kind = totals_kind(i);
		uint64_t rate = model_rate(p->m, BY_KIND(kind));

		/* Leave out kinds that never occurred, if there is no room. */
		if (i >= 2 && l->max < 100 && !st->faults[BY_KIND(kind)])
			continue;
		text_count(num, rate, 9);
		add_number(l, uffdctl_kind_name(kind), num, narrow ? "/s " : "/s  ",
			   rate && rate != UFFDCTL_UNKNOWN ? STYLE_STRONG : STYLE_DIM);
	}
	text_count(num, p->m->total, 13);
	add_number(l, "total", num, narrow ? " " : "  ", STYLE_STRONG);
	text_count(num, st->pending, 9);
	add_number(l, "pending", num, "", st->pending ? STYLE_WARN : STYLE_PLAIN);
	if (st->before_left)
		line_addf(l, STYLE_WARN, narrow ? "+%" PRIu64 : " (+%" PRIu64 " before)", st->before_left);
}

static void third_line(const struct picture *p, struct line *l)
{
	static const struct {
		const char *name;
		double percent;
	} waits[] = { { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "max", 100 } };
	const struct uffdctl_watch_stats *st = &p->m->stats;
	bool narrow = l->max < SCREEN_WIDE;
	const char *gap = narrow ? " " : "  ";
	char num[NUM_SIZE];

	line_add(l, STYLE_PLAIN, narrow ? "" : "wait ");
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		text_wait(num, totals_percentile(st, &totals_waits[0], waits[i].percent), l->utf8);
		add_number(l, waits[i].name, num, gap, STYLE_STRONG);
	}
	line_add(l, STYLE_PLAIN, narrow ? "" : " ");
	text_count(num, st->lost_events, narrow ? 5 : 9);
	add_number(l, narrow ? "lost" : "lost events", num, gap, st->lost_events ? STYLE_BAD : STYLE_PLAIN);
	text_count(num, st->missed, narrow ? 5 : 9);
	add_number(l, "missed", num, "", st->missed ? STYLE_BAD : STYLE_PLAIN);
}

void header_line(const struct picture *p, int i, int width, struct line *l)
{
	if (i == 0)
		first_line(p, width, l);
	else if (i == 1)
		second_line(p, l);
	else
		third_line(p, l);
}
