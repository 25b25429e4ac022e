// SPDX-License-Identifier: GPL-2.0-or-later
/* The top of the view: what is watched and how much comes; and the histogram of waits. */
#include <inttypes.h>
#include <string.h>

#include "cmd/duration.h"
#include "cmd/pids.h"
#include "cmd/watch/view/view.h"

/* ---- the header ---- */

static void add_target(struct line *l, const struct target *t, int width)
{
	line_addf(l, STYLE_STRONG, "%d ", t->pid);
	line_field(l, t->gone ? STYLE_DIM : STYLE_PLAIN, t->comm, width, false);
	/* line_field() pads: what follows stands right behind the name. */
	while (l->len && l->text[l->len - 1] == ' ')
		l->text[--l->len] = '\0', l->cols--;
	if (t->gone)
		line_add(l, STYLE_WARN, " (ended)");
}

static void add_targets(const struct view *v, struct line *l, int end)
{
	const struct scan *scan = &v->m->scan;
	int max = l->max;
	size_t i;

	if (!nr_pids)
		line_add(l, STYLE_PLAIN, "all processes");
	l->max = end;
	for (i = 0; nr_pids && i < scan->nr_targets; i++) {
		const struct target *t = &scan->targets[i];
		int need = 10 + text_width(t->comm, v->utf8) + (t->gone ? 8 : 0);

		if (i && l->cols + need + 4 > end)
			break;
		line_add(l, STYLE_PLAIN, i ? ", " : "");
		add_target(l, t, 24);
	}
	if (nr_pids && i < scan->nr_targets)
		line_addf(l, STYLE_PLAIN, " +%zu", scan->nr_targets - i);
	l->max = max;
}

/* The last minute, newest at the right, as high as its highest second. */
static void add_sparkline(const struct view *v, struct line *l, int width)
{
	uint64_t rates[VIEW_NR_SAMPLES], most = 1;
	size_t n = model_rates(v->m, rates, width < VIEW_NR_SAMPLES ? (size_t)width : VIEW_NR_SAMPLES - 1);

	for (size_t i = 0; i < n; i++)
		most = rates[i] > most ? rates[i] : most;
	line_to(l, STYLE_PLAIN, l->cols + width - (int)n, " ");
	for (size_t i = 0; i < n; i++) {
		int level = (int)((double)rates[i] * 8 / (double)most + 0.999);

		line_add(l, rates[i] ? STYLE_GOOD : STYLE_DIM, text_shade(level ?: v->utf8, v->utf8));
	}
}

static void first_line(const struct view *v, int width, struct line *l)
{
	bool narrow = width < SCREEN_WIDE;
	char uptime[NUM_SIZE], rate[NUM_SIZE];
	_cleanup_free_ char *right = NULL;
	int spark = 12, end;

	text_uptime(uptime, v->m->now_ns - v->m->began_ns);
	text_count(rate, model_rate(v->m, -1), 7);
	if (asprintf(&right, "  %s%s  %s %7s%s ", v->paused ? "PAUSED  " : "", v->m->backend, uptime, rate,
		     narrow ? "/s" : " faults/s") < 0)
		return;
	end = width - spark - 1 - text_width(right, v->utf8);
	line_add(l, STYLE_TITLE, narrow ? "" : "uffdctl watch ");
	add_targets(v, l, end);
	/* A whole minute where names leave room for it. */
	spark += end - l->cols;
	spark = spark < VIEW_NR_SAMPLES - 1 ? spark : VIEW_NR_SAMPLES - 1;
	end = width - spark - 1 - text_width(right, v->utf8);
	line_to(l, STYLE_PLAIN, end, " ");
	line_add(l, v->paused ? STYLE_WARN : STYLE_STRONG, right);
	add_sparkline(v, l, spark);
}

static void add_number(struct line *l, const char *name, const char *value, const char *unit, enum style style)
{
	line_addf(l, STYLE_PLAIN, "%s ", name);
	line_add(l, style, value);
	line_add(l, STYLE_PLAIN, unit);
}

static void second_line(const struct view *v, struct line *l)
{
	const struct uffdctl_watch_stats *st = &v->m->stats;
	bool narrow = l->max < SCREEN_WIDE;
	char num[NUM_SIZE];

	for (int k = 0; k < 4; k++) {
		uint64_t rate = model_rate(v->m, k);

		/* Nobody misses a kind that never came. */
		if (k >= 2 && l->max < 100 && !st->faults[k])
			continue;
		text_count(num, rate, 9);
		add_number(l, uffdctl_kind_name(UFFDCTL_KIND_MINOR + k), num, narrow ? "/s " : "/s  ",
			   rate && rate != UFFDCTL_UNKNOWN ? STYLE_STRONG : STYLE_DIM);
	}
	text_count(num, v->m->total, 13);
	add_number(l, "total", num, narrow ? " " : "  ", STYLE_STRONG);
	text_count(num, st->pending, 9);
	add_number(l, "pending", num, "", st->pending ? STYLE_WARN : STYLE_PLAIN);
	if (st->before_left)
		line_addf(l, STYLE_WARN, narrow ? "+%" PRIu64 : " (+%" PRIu64 " before)", st->before_left);
}

static void third_line(const struct view *v, struct line *l)
{
	static const char *const names[] = { "p50", "p90", "p99" };
	static const double points[] = { 0.5, 0.9, 0.99 };
	const struct uffdctl_watch_stats *st = &v->m->stats;
	bool any = totals_sum(st->buckets, UFFDCTL_NR_BUCKETS), narrow = l->max < SCREEN_WIDE;
	const char *gap = narrow ? " " : "  ";
	char num[NUM_SIZE];

	line_add(l, STYLE_PLAIN, narrow ? "" : "wait ");
	for (int i = 0; i < 3; i++) {
		text_wait(num, totals_percentile(st, points[i]), v->utf8);
		add_number(l, names[i], num, gap, STYLE_STRONG);
	}
	text_wait(num, any ? st->max_wait_ns : UFFDCTL_UNKNOWN, v->utf8);
	add_number(l, "max", num, narrow ? " " : "   ", STYLE_STRONG);
	text_count(num, st->lost_events, narrow ? 5 : 9);
	add_number(l, narrow ? "lost" : "lost events", num, gap, st->lost_events ? STYLE_BAD : STYLE_PLAIN);
	text_count(num, st->missed, narrow ? 5 : 9);
	add_number(l, "missed", num, "", st->missed ? STYLE_BAD : STYLE_PLAIN);
}

void header_line(const struct view *v, int y, int width, struct line *l)
{
	if (y == 0)
		first_line(v, width, l);
	else if (y == 1)
		second_line(v, l);
	else
		third_line(v, l);
}

/* ---- the histogram ---- */

static uint64_t most_in_bucket(const struct uffdctl_watch_stats *st)
{
	uint64_t most = 0;

	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++)
		most = st->buckets[i] > most ? st->buckets[i] : most;
	return most;
}

/* "1µs", "33ms", each under the bucket that ends there. */
static void add_axis(const struct view *v, int column, struct line *l)
{
	char num[DURATION_SIZE];
	int step = column == 1 ? 5 : column == 2 ? 3 : 2, from = l->cols;

	for (int i = 0; i < UFFDCTL_NR_BUCKETS - 1; i += step) {
		duration_text(num, UINT64_C(1000) << i, DURATION_WHOLE | (v->utf8 ? DURATION_MICRO : 0));
		line_to(l, STYLE_PLAIN, from + i * column, " ");
		line_add(l, STYLE_DIM, num);
	}
}

/* The part of a column that is in one line of it, in eighths. Without blocks only halves can be told. */
static const char *bar_cell(int eighths, bool utf8)
{
	if (utf8 || eighths <= 0)
		return text_shade(eighths, utf8);
	return eighths >= 7 ? "#" : eighths >= 4 ? ":" : ".";
}

/* A column for each bucket, in eighths of a line. */
void histogram_line(const struct view *v, int i, int nr_lines, int width, struct line *l)
{
	const struct uffdctl_watch_stats *st = &v->m->stats;
	int column = width / UFFDCTL_NR_BUCKETS, height = nr_lines - 1;
	uint64_t most = most_in_bucket(st);

	column = column > 3 ? 3 : column;
	line_add(l, STYLE_PLAIN, " ");
	if (i == height) {
		add_axis(v, column, l);
		return;
	}
	for (int b = 0; b < UFFDCTL_NR_BUCKETS; b++) {
		int eighths = most ? (int)((double)st->buckets[b] * height * 8 / (double)most + 0.5) : 0;
		int left = (eighths ?: st->buckets[b] > 0) - (height - 1 - i) * 8;

		for (int c = 0; c < column - (column > 1); c++)
			line_add(l, STYLE_GOOD, bar_cell(left, v->utf8));
		if (column > 1)
			line_add(l, STYLE_PLAIN, " ");
	}
}

/* As numbers, for a file. */
void histogram_row(const struct view *v, int i, struct line *l)
{
	const struct uffdctl_watch_stats *st = &v->m->stats;
	char num[NUM_SIZE];

	text_wait(num, UINT64_C(1000) << i, v->utf8);
	line_field(l, STYLE_PLAIN, i == UFFDCTL_NR_BUCKETS - 1 ? "more" : num, 7, true);
	line_field(l, STYLE_PLAIN, text_count(num, st->buckets[i], 12), 13, true);
	line_add(l, STYLE_PLAIN, " ");
	line_bar(l, STYLE_GOOD, st->buckets[i], most_in_bucket(st), 60);
}
