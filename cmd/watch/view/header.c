// SPDX-License-Identifier: GPL-2.0-or-later
/* The top of the view: what is watched, rates, and waits. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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
	struct tm tm;

	if (p->m->reset_at)
		strftime(uptime, sizeof(uptime), "since %H:%M:%S", localtime_r(&p->m->reset_at, &tm));
	else
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

/* ---- the second line ---- */

static void add_number(struct line *l, const char *name, const char *value, const char *unit, enum style style)
{
	line_addf(l, STYLE_PLAIN, "%s ", name);
	line_add(l, style, value);
	line_add(l, STYLE_PLAIN, unit);
}

/* What must not be cut off is first. */
static void add_totals(const struct picture *p, struct line *l, const char *gap)
{
	const struct uffdctl_watch_stats *st = &p->m->stats;
	char num[NUM_SIZE];

	text_count(num, p->m->total, 13);
	add_number(l, "total", num, gap, STYLE_STRONG);
	text_count(num, st->pending, 9);
	add_number(l, "pending", num, "", st->pending ? STYLE_WARN : STYLE_PLAIN);
	if (st->before_left)
		line_addf(l, STYLE_WARN, l->max < SCREEN_WIDE ? "+%" PRIu64 : " (+%" PRIu64 " before)",
			  st->before_left);
	line_add(l, STYLE_PLAIN, gap);
	text_count(num, st->lost_events, 5);
	add_number(l, "lost", num, gap, st->lost_events ? STYLE_BAD : STYLE_PLAIN);
	text_count(num, st->missed, 5);
	add_number(l, "missed", num, "", st->missed ? STYLE_BAD : STYLE_PLAIN);
	text_count(num, st->failed_ioctls, 5);
	if (!st->failed_ioctls || st->failed_ioctls == UFFDCTL_UNKNOWN ||
	    l->cols + strlen(gap) + strlen("failed ") + strlen(num) > (size_t)l->max)
		return;
	line_add(l, STYLE_PLAIN, gap);
	add_number(l, "failed", num, "", STYLE_WARN);
}

static void second_line(const struct picture *p, struct line *l)
{
	const char *gap = l->max < SCREEN_WIDE ? " " : "  ";
	char num[NUM_SIZE];

	add_totals(p, l, gap);
	for (int i = 0; i < NR_KINDS; i++) {
		enum uffdctl_kind kind = totals_kind(i);
		uint64_t rate = model_rate(p->m, BY_KIND(kind));

		/* Leave out kinds that never occurred, if there is no room. */
		if (l->max < 120 && !p->m->stats.faults[BY_KIND(kind)])
			continue;
		text_count(num, rate, 7);
		/* A number that is cut off looks like another number. */
		if (l->cols + strlen(gap) + strlen(uffdctl_kind_name(kind)) + strlen(num) + 3 > (size_t)l->max)
			break;
		line_add(l, STYLE_PLAIN, gap);
		add_number(l, uffdctl_kind_name(kind), num, "/s",
			   rate && rate != UFFDCTL_UNKNOWN ? STYLE_STRONG : STYLE_DIM);
	}
}

/* ---- the waits ---- */

/* The last bucket with waits: a percentile of 100 is the longest wait, if it is known. */
#define NEARLY_ALL 99.9999999

static const char *wait_text(char *num, const struct uffdctl_watch_stats *st, int wait, int percent, bool utf8)
{
	uint64_t ns = totals_percentile(st, &totals_waits[wait], totals_percents[percent].percent);
	bool longest = percent == NR_PERCENTS - 1;

	if (longest && ns != UFFDCTL_UNKNOWN)
		return text_longest(num, ns, utf8);
	return text_bound(num, longest ? totals_percentile(st, &totals_waits[wait], NEARLY_ALL) : ns, utf8);
}

static void add_right(struct line *l, enum style style, const char *text, int end)
{
	line_to(l, STYLE_PLAIN, end - text_width(text, l->utf8), " ");
	line_add(l, style, text);
}

/* Two blocks of columns: since the beginning, and the last interval, of which a narrow screen has less. */
enum {
	LABEL = 8,
	COLUMN = 8,
	BLOCK = LABEL + 4 * COLUMN,
};

static bool is_narrow(int width)
{
	return width < 2 * BLOCK;
}

/* Column i of the last interval, or -1 if there is no room for it. */
static int last_end(int width, int i)
{
	if (!is_narrow(width))
		return BLOCK + LABEL + (i + 1) * COLUMN;
	return i < 2 ? -1 : BLOCK + LABEL / 2 + (i - 1) * COLUMN;
}

static void heads_line(const struct picture *p, int width, struct line *l)
{
	line_add(l, STYLE_HEAD, p->m->reset_at ? "since reset" : "since start");
	for (int i = 0; i < NR_PERCENTS; i++)
		add_right(l, STYLE_HEAD, totals_percents[i].name, LABEL + (i + 1) * COLUMN);
	line_addf(l, STYLE_HEAD, is_narrow(width) ? "  %us" : " last %us", model_interval_s(p->m));
	for (int i = 0; i < NR_PERCENTS; i++)
		if (last_end(width, i) > 0)
			add_right(l, STYLE_HEAD, totals_percents[i].name, last_end(width, i));
}

static void waits_line(const struct picture *p, int wait, int width, struct line *l)
{
	char num[NUM_SIZE];

	line_add(l, STYLE_PLAIN, totals_waits[wait].name);
	for (int i = 0; i < NR_PERCENTS; i++)
		add_right(l, STYLE_STRONG, wait_text(num, &p->m->stats, wait, i, l->utf8), LABEL + (i + 1) * COLUMN);
	for (int i = 0; i < NR_PERCENTS; i++)
		if (last_end(width, i) > 0)
			add_right(l, STYLE_PLAIN, wait_text(num, &p->m->last, wait, i, l->utf8), last_end(width, i));
}

/* The one that the user has chosen. */
static void small_line(const struct picture *p, struct line *l)
{
	int wait = (int)p->header_waits % NR_WAITS;
	bool last = p->header_waits >= NR_WAITS;
	char num[NUM_SIZE];

	line_add(l, STYLE_PLAIN, totals_waits[wait].name);
	if (last)
		line_addf(l, STYLE_PLAIN, " last %us", model_interval_s(p->m));
	for (int i = 0; i < NR_PERCENTS; i++) {
		wait_text(num, last ? &p->m->last : &p->m->stats, wait, i, l->utf8);
		if (last && is_narrow(l->max) && i == 1)
			continue;
		line_add(l, STYLE_PLAIN, " ");
		add_number(l, totals_percents[i].name, num, "", STYLE_STRONG);
	}
}

void header_line(const struct picture *p, int i, int nr_lines, int width, struct line *l)
{
	if (i == 0)
		first_line(p, width, l);
	else if (i == 1)
		second_line(p, l);
	else if (nr_lines == HEADER_SMALL)
		small_line(p, l);
	else if (i == 2)
		heads_line(p, width, l);
	else
		waits_line(p, i - 3, width, l);
}
