// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of the view of watch, without a terminal: what it counts, and what it makes of that in text. */
#include <locale.h>

#include "../unit.h"
#include "cmd/duration.h"
#include "cmd/watch/clock.h"
#include "cmd/watch/view/header.h"
#include "cmd/watch/view/labels.h"
#include "cmd/watch/view/pane_histogram.h"
#include "cmd/watch/view/messages.h"
#include "cmd/watch/view/pane_table.h"
#include "cmd/watch/view/pane_wait.h"
#include "cmd/watch/view/state.h"

#define PAGE UINT64_C(4096)
#define MIB (UINT64_C(1) << 20)

static struct model *new_model(void)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m || !setlocale(LC_ALL, "C.UTF-8"))
		abort();
	model_init(m, 100 * SECOND, "test");
	return m;
}

static struct view *new_view(struct model *m)
{
	struct view *v = calloc(1, sizeof(*v));

	if (!v)
		abort();
	view_init(v, m, m);
	v->picture.utf8 = true;
	return v;
}

static struct uffdctl_fault fault(pid_t tid, uint64_t addr, uint64_t wait_ns)
{
	return (struct uffdctl_fault){ .start_ns = 100 * SECOND,
				       .wait_ns = wait_ns,
				       .addr = addr,
				       .ip = 0x1000,
				       .pid = 7,
				       .tid = tid,
				       .target_pid = 7,
				       .resolver_pid = 9,
				       .resolver_tid = 10,
				       .reader_tid = 11,
				       .comm = "thread",
				       .reader_comm = "reader",
				       .resolver_comm = "handler",
				       .kind = UFFDCTL_KIND_MINOR,
				       .op = "continue",
				       .name = "/memfd:guest (deleted)",
				       .offset = addr };
}

static void add_mapping(struct scan *scan, pid_t pid, uint64_t start, uint64_t size, const char *name)
{
	struct mapping_info *info = &scan->mappings[scan->nr_mappings++];

	*info = (struct mapping_info){
		.pid = pid, .range = { start, start + size }, .page_size = PAGE, .modes = UFFDCTL_MODE_MINOR
	};
	snprintf(info->name, sizeof(info->name), "%s", name);
}

static struct scan *new_scan(uint32_t number)
{
	struct scan *scan = calloc(1, sizeof(*scan));

	if (!scan)
		abort();
	scan->number = number;
	scan->ns = 100 * SECOND;
	return scan;
}

static uint64_t sum_of(const struct groups *gs)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i <= gs->nr; i++)
		sum += gs->rows[i].counts.faults;
	return sum;
}

/* ---- groups ---- */

/* The group in this row of the table. */
static const struct group *table_group(const struct view *v, size_t i)
{
	const struct table_state *t = &v->picture.table;

	return &v->frame->groups[t->grouping].rows[t->rows[i]];
}

TEST("view-groups-count")
{
	struct model *m = new_model();

	for (int i = 0; i < 10; i++) {
		struct uffdctl_fault f = fault(100 + i % 2, i * PAGE, i < 9 ? 3000 : 50000);

		if (i == 9) {
			f.kind = UFFDCTL_KIND_WP;
			f.op = "writeprotect";
		}
		model_fault(m, &f);
	}
	NUM(m->groups[BY_THREAD].nr, 2);
	NUM(m->groups[BY_PROCESS].nr, 1);
	NUM(m->groups[BY_RESOLVER].nr, 2);
	NUM(m->groups[BY_MAPPING].nr, 1);
	const struct group *g = &m->groups[BY_PROCESS].rows[1];
	NUM(g->counts.faults, 10);
	NUM(g->counts.kinds[BY_KIND(UFFDCTL_KIND_MINOR)], 9);
	NUM(g->counts.kinds[BY_KIND(UFFDCTL_KIND_WP)], 1);
	NUM(g->counts.waits[PART_WAIT].max_ns, 50000);
	NUM(waits_percentile(&g->counts.waits[PART_WAIT], 50), uffdctl_bucket_bound_ns(uffdctl_bucket(3000)));
	NUM(waits_percentile(&g->counts.waits[PART_WAIT], 99), 50000);
	free(m);
}

/* Totals, averages and percentiles of a wait and of its two parts; what is not known is in none of them. */
TEST("view-groups-waits")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct line l;

	for (int i = 0; i < 4; i++) {
		struct uffdctl_fault f = fault(5, 0, i < 3 ? (i + 1) * MILLISECOND : UFFDCTL_UNKNOWN);

		f.queue_ns = i == 1 ? MILLISECOND / 2 : UFFDCTL_UNKNOWN;
		model_fault(m, &f);
	}
	const struct waits *w = m->groups[BY_THREAD].rows[1].counts.waits;
	NUM(w[PART_WAIT].nr, 3);
	NUM(waits_total(&w[PART_WAIT]), 6 * MILLISECOND);
	NUM(waits_average(&w[PART_WAIT]), 2 * MILLISECOND);
	NUM(waits_percentile(&w[PART_QUEUED], 99), MILLISECOND / 2);
	NUM(waits_percentile(&w[PART_HANDLED], 99), 3 * MILLISECOND / 2);
	NUM(waits_total(&m->all.waits[PART_WAIT]), 6 * MILLISECOND);
	v->picture.table.grouping = BY_THREAD;
	view_gather(v);
	line_init(&l, 200, false);
	pane_heads(&pane_table, &v->picture, 200, &l);
	PART(l.text, " QUEUED HANDLED   TOTAL     AVG ");
	line_init(&l, 200, false);
	pane_row(&pane_table, &v->picture, 0, 200, &l);
	PART(l.text, "<=500us <=1.5ms   6.0ms   2.0ms ");
	free(v);
	free(m);
}

/* Threads whose names differ in digits are a team; how long all of it waited is the library's number. */
TEST("view-teams")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct uffdctl_team_totals team = { .pid = 7, .name = "CPU #/KVM", .all_wait_ns = 3 * SECOND };
	static const char *const comms[] = { "CPU 0/KVM", "CPU 12/KVM", "io" };
	char name[TEAM_NAME];
	struct line l;

	team_name("a12b3", name);
	STR(name, "a#b#");
	team_name("123456789012345", name);
	STR(name, "#");
	for (int i = 0; i < 3; i++) {
		struct uffdctl_fault f = fault(20 + i, 0, SECOND);

		snprintf(f.comm, sizeof(f.comm), "%s", comms[i]);
		model_fault(m, &f);
	}
	teams_begin(&m->teams);
	teams_add(&m->teams, &team);
	v->picture.table.grouping = BY_TEAM;
	view_gather(v);
	NUM(v->picture.table.nr_rows, 2);
	line_init(&l, 80, false);
	pane_heads(&pane_table, &v->picture, 80, &l);
	PART(l.text, " ALL WAIT");
	for (size_t i = 0; i < 2; i++) {
		line_init(&l, 80, false);
		pane_row(&pane_table, &v->picture, i, 80, &l);
		PART(l.text, table_group(v, i)->counts.faults == 2 ? " 7 CPU #/KVM " : " 7 io ");
		PART(l.text, table_group(v, i)->counts.faults == 2 ? "     3.0s" : "        -");
	}
	/* Its numbers come again and again, and since the reset. */
	teams_begin(&m->teams);
	teams_add(&m->teams, &team);
	model_reset(m, 1, &(struct uffdctl_watch_stats){});
	team.all_wait_ns = 5 * SECOND;
	teams_begin(&m->teams);
	teams_add(&m->teams, &team);
	NUM(teams_all_wait_ns(&m->teams, 7, "CPU #/KVM"), 2 * SECOND);
	free(v);
	free(m);
}

/* The histogram has octaves, whatever parts of them the buckets are. */
TEST("view-histogram-octaves")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	static const uint64_t waits[] = { 900, 2100, 3000, 4000, 4100, 60 * SECOND };
	static const struct {
		size_t row;
		const char *text;
	} rows[] = { { 0, "1.0us            1 " },
		     { 1, "2.0us            0 " },
		     { 2, "4.1us            3 " },
		     { 3, "8.2us            1 " },
		     { 25, "more            1 " } };
	struct line l;

	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		m->stats.buckets[uffdctl_bucket(waits[i])]++;
	NUM(pane_histogram.nr_rows(&v->picture), 26);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		line_init(&l, 200, false);
		pane_row(&pane_histogram, &v->picture, rows[i].row, 200, &l);
		PART(l.text, rows[i].text);
	}
	free(v);
	free(m);
}

TEST("view-groups-are-capped")
{
	struct model *m = new_model();
	const struct groups *gs = &m->groups[BY_THREAD];
	bool newest = true, oldest = false;

	for (int i = 0; i < 10000; i++) {
		struct uffdctl_fault f = fault(1000 + i, 0, 1000);

		model_fault(m, &f);
		/* One that is active all the time keeps its row. */
		f.tid = 5;
		model_fault(m, &f);
	}
	NUM(gs->nr, VIEW_MAX_GROUPS);
	NUM(sum_of(gs), 20000);
	NUM(gs->nr_dropped, 10001 - VIEW_MAX_GROUPS);
	NUM(gs->rows[0].counts.faults, 10001 - VIEW_MAX_GROUPS);
	for (uint32_t i = 1; i <= gs->nr; i++) {
		newest &= gs->rows[i].key == 5 || gs->rows[i].key > 11000 - VIEW_MAX_GROUPS;
		oldest |= gs->rows[i].key == 5 && gs->rows[i].counts.faults == 10000;
	}
	OK(newest);
	OK(oldest);
	free(m);
}

TEST("view-rates")
{
	struct model *m = new_model();
	struct uffdctl_watch_stats st = {};
	uint64_t rates[60];

	NUM(model_rate(m, -1), UFFDCTL_UNKNOWN);
	model_tick(m, 100 * SECOND, &st);
	NUM(model_rate(m, -1), UFFDCTL_UNKNOWN);
	for (int i = 0; i < 500; i++) {
		struct uffdctl_fault f = fault(5, 0, 1000);

		model_fault(m, &f);
	}
	st.faults[BY_KIND(UFFDCTL_KIND_MINOR)] = 400;
	st.faults[BY_KIND(UFFDCTL_KIND_MISSING)] = 100;
	/* Too early for a sample. */
	model_tick(m, 100 * SECOND + SECOND / 2, &st);
	NUM(m->nr_samples, 1);
	model_tick(m, 102 * SECOND, &st);
	NUM(model_rate(m, -1), 250);
	NUM(model_rate(m, BY_KIND(UFFDCTL_KIND_MINOR)), 200);
	NUM(model_rate(m, BY_KIND(UFFDCTL_KIND_MISSING)), 50);
	NUM(m->groups[BY_THREAD].rows[1].rate, 250);
	model_tick(m, 103 * SECOND, &st);
	NUM(model_rates(m, rates, 60), 2);
	NUM(rates[0], 250);
	NUM(rates[1], 0);
	NUM(m->groups[BY_THREAD].rows[1].rate, 0);
	for (int i = 0; i < 100; i++)
		model_tick(m, (104 + i) * SECOND, &st);
	NUM(model_rates(m, rates, 60), 60);
	free(m);
}

/* After a reset all counts are of later faults, and so they are if the kernel's totals have to be used. */
TEST("view-reset")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct uffdctl_watch_stats kernel = { .pending = 1, .lost_events = 5 }, st = {};
	struct uffdctl_fault slow = fault(5, 0, 8 * MILLISECOND), fast = fault(6, 0, 2000);
	struct line l;

	for (int i = 0; i < 3; i++)
		model_fault(m, &slow);
	model_sum(m, &kernel);
	model_tick(m, 100 * SECOND, &kernel);
	model_tick(m, 101 * SECOND, &kernel);
	NUM(m->total, 4);
	NUM(model_interval_s(m), 1);
	model_reset(m, 1, &kernel);
	for (int g = 0; g < NR_GROUPINGS; g++)
		NUM(sum_of(&m->groups[g]), 0);
	model_fault(m, &fast);
	NUM(m->groups[BY_THREAD].nr, 1);
	NUM(m->groups[BY_THREAD].rows[1].tid, 6);
	/* The kernel's go on. */
	kernel.ended[UFFDCTL_END_WOKEN]++;
	kernel.faults[BY_KIND(UFFDCTL_KIND_MINOR)]++;
	kernel.buckets[uffdctl_bucket(2000)]++;
	totals_since(&kernel, &m->at_reset, &st);
	NUM(st.lost_events, 0);
	NUM(st.faults[BY_KIND(UFFDCTL_KIND_MINOR)], 1);
	NUM(st.ended[UFFDCTL_END_WOKEN], 1);
	model_sum(m, &st);
	NUM(st.max_wait_ns, 2000);
	model_tick(m, 102 * SECOND, &st);
	OK(model_rate(m, -1) == UFFDCTL_UNKNOWN);
	model_tick(m, 103 * SECOND, &st);
	NUM(m->total, 2);
	NUM(model_rate(m, -1), 0);
	line_init(&l, 80, false);
	header_line(&v->picture, 0, HEADER_FULL, 80, &l);
	PART(l.text, "  since ");
	free(v);
	free(m);
}

/* The percentiles of the last interval are of its faults alone. */
TEST("view-last-interval")
{
	static const uint64_t waits[] = { MILLISECOND, 3000 };
	char bound[NUM_SIZE];
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct uffdctl_watch_stats st = {};
	struct line l;

	model_tick(m, 100 * SECOND, &st);
	for (int i = 0; i < 2; i++) {
		struct uffdctl_fault f = fault(5, 0, waits[i]);

		for (int k = 0; k < 10; k++)
			model_fault(m, &f);
		model_sum(m, &st);
		model_tick(m, (101 + (unsigned int)i) * SECOND, &st);
	}
	NUM(totals_percentile(&m->stats, &totals_waits[PART_WAIT], 99), MILLISECOND);
	NUM(totals_percentile(&m->last, &totals_waits[PART_WAIT], 99), uffdctl_bucket_bound_ns(uffdctl_bucket(3000)));
	text_bound(bound, uffdctl_bucket_bound_ns(uffdctl_bucket(3000)), false);
	line_init(&l, 80, false);
	header_line(&v->picture, 2, HEADER_FULL, 80, &l);
	PART(l.text, "since start  p50     p90     p99     max last 1s     p50     p90     p99     max");
	line_init(&l, 80, false);
	header_line(&v->picture, 3, HEADER_FULL, 80, &l);
	/* Of the longest wait in it only a bound is known. */
	PART(l.text, " <=1.0ms  1.00ms");
	PART(l.text + 72, bound);
	/* Where it is one line, the user chooses. */
	v->picture.header_waits = NR_WAITS + PART_WAIT;
	line_init(&l, 60, false);
	header_line(&v->picture, 2, HEADER_SMALL, 60, &l);
	PART(l.text, "wait last 1s p50 <=");
	PART(strstr(l.text, "p99"), bound);
	v->picture.header_waits = PART_QUEUED;
	line_init(&l, 60, false);
	header_line(&v->picture, 2, HEADER_SMALL, 60, &l);
	PART(l.text, "queued p50 ");
	free(v);
	free(m);
}

/* A number that has no room is left out: its first digits would be another number. */
TEST("view-header-fits")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct uffdctl_watch_stats st = {};
	struct line l;

	model_tick(m, 100 * SECOND, &st);
	for (int k = 0; k < NR_KINDS; k++)
		st.faults[k] = 12345;
	model_tick(m, 101 * SECOND, &st);
	for (int w = VIEW_MIN_WIDTH; w < 200; w++)
		for (int nr = HEADER_SMALL; nr <= HEADER_FULL; nr += HEADER_FULL - HEADER_SMALL)
			for (int i = 0; i < nr; i++) {
				line_init(&l, w, true);
				header_line(&v->picture, i, nr, w, &l);
				OK(!strstr(l.text, "12,345") || strstr(l.text, "12,345/s"));
				OK(!strstr(l.text, "12,34") || strstr(l.text, "12,345"));
				OK(l.cols <= w);
			}
	free(v);
	free(m);
}

/* ---- frames ---- */

/* How long a thread waited is known of the moment when it was scanned: it may have gone on since. */
TEST("view-waits-are-not-made-longer")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct scan *scan = new_scan(1);
	struct line l;

	scan->ns = 100 * SECOND;
	scan->nr_waiters = scan->nr_waiting = 1;
	scan->waiters[0] = (struct waiter){ .pid = 7,
					    .tid = 5,
					    .target_pid = 7,
					    .addr = 0x1000,
					    .offset = 0,
					    .slept_ns = 72 * 1000000,
					    .comm = "vcpu0" };
	model_scanned(m, scan);
	model_tick(m, 100 * SECOND + 749 * 1000000, &(struct uffdctl_watch_stats){});
	line_init(&l, 100, false);
	pane_row(&pane_wait, &v->picture, 0, 100, &l);
	PART(l.text, " 72.0ms ");
	free(scan);
	free(v);
	free(m);
}

/* Totals of a frame are those of its rows, also of rows that had to make room. */
TEST("view-totals-of-rows")
{
	struct uffdctl_watch_stats st = { .faults = { 1, 1, 1, 1 }, .max_wait_ns = 1, .pending = 3 };
	struct model *m = new_model(), *frame = new_model();
	uint64_t waits = 0;

	for (int i = 0; i < 3 * VIEW_MAX_GROUPS; i++) {
		struct uffdctl_fault f = fault(i + 1, 0x10000, (uint64_t)(i + 1) * 1000);

		f.pid = i + 1;
		f.kind = i % 3 ? UFFDCTL_KIND_MINOR : UFFDCTL_KIND_MISSING;
		model_fault(m, &f);
	}
	model_sum(m, &st);
	model_tick(m, 101 * SECOND, &st);
	NUM(m->stats.faults[BY_KIND(UFFDCTL_KIND_MINOR)], 2 * VIEW_MAX_GROUPS);
	NUM(m->stats.faults[BY_KIND(UFFDCTL_KIND_MISSING)], VIEW_MAX_GROUPS);
	NUM(m->total, 3 * VIEW_MAX_GROUPS + 3);
	NUM(m->stats.max_wait_ns, 3 * VIEW_MAX_GROUPS * 1000);
	for (int b = 0; b < UFFDCTL_NR_BUCKETS; b++)
		waits += m->stats.buckets[b];
	NUM(waits, 3 * VIEW_MAX_GROUPS);
	/* What comes later is not in the copy. */
	model_copy(frame, m);
	model_fault(m, &(struct uffdctl_fault){ .pid = 1, .tid = 1, .kind = UFFDCTL_KIND_WP });
	st = (struct uffdctl_watch_stats){};
	model_sum(frame, &st);
	NUM(totals_sum(st.faults, NR_KINDS), 3 * VIEW_MAX_GROUPS);
	NUM(frame->groups[BY_THREAD].nr, m->groups[BY_THREAD].nr);
	OK(model_find(frame, 1, 0x10000) == NULL);
	free(frame);
	free(m);
}

/* ---- mappings ---- */

TEST("view-mapping-before-a-scan")
{
	struct model *m = new_model();
	struct scan *scan = new_scan(1);
	struct uffdctl_fault f = fault(5, 0x10000, 1000);

	model_fault(m, &f);
	OK(m->mappings.want_scan);
	add_mapping(scan, 7, 0x10000, MIB, "/memfd:guest (deleted)");
	add_mapping(scan, 7, 0x400000, MIB, "");
	model_scanned(m, scan);
	model_fault(m, &f);
	/* The scan tells what was known by its name: it is one row. */
	NUM(m->groups[BY_MAPPING].nr, 1);
	NUM(m->groups[BY_MAPPING].rows[1].counts.faults, 2);
	OK(model_find(m, 7, 0x10000) && model_find(m, 7, 0x10000 + MIB - 1));
	OK(!model_find(m, 7, 0x10000 + MIB) && !model_find(m, 7, 0xffff) && !model_find(m, 8, 0x10000));
	NUM(model_find(m, 7, 0x400000)->range.start, 0x400000);
	/* It goes: a late fault is still its own. */
	scan->number = 2;
	scan->nr_mappings = 0;
	model_scanned(m, scan);
	OK(!model_find(m, 7, 0x10000));
	model_fault(m, &f);
	NUM(m->groups[BY_MAPPING].rows[1].counts.faults, 3);
	free(scan);
	free(m);
}

TEST("view-mappings-are-capped")
{
	struct model *m = new_model();
	struct scan *scan = new_scan(0);
	uint64_t n = 0;

	for (uint32_t round = 1; round < 30; round++) {
		scan->number = round;
		scan->nr_mappings = 0;
		for (int i = 0; i < 200; i++)
			add_mapping(scan, 7, round * (UINT64_C(1) << 32) + i * MIB, MIB, i % 2 ? "/x" : "");
		model_scanned(m, scan);
		for (int i = 0; i < 200; i += 3, n++) {
			struct uffdctl_fault f = fault(5, round * (UINT64_C(1) << 32) + i * MIB, 1000);

			f.name = i % 2 ? "/x" : "";
			model_fault(m, &f);
		}
	}
	NUM(sum_of(&m->groups[BY_MAPPING]), n);
	NUM(m->mappings.nr_by_addr, 200);
	free(scan);
	free(m);
}

TEST("view-heat-moves-and-cools")
{
	struct model *m = new_model();
	struct scan *scan = new_scan(1);
	struct uffdctl_watch_stats st = {};
	const struct mapping *map;

	add_mapping(scan, 7, 0x10000000, 1024 * MIB, "/memfd:guest (deleted)");
	model_scanned(m, scan);
	model_tick(m, 100 * SECOND, &st);
	map = model_find(m, 7, 0x10000000);
	NUM(UINT64_C(1) << map->cell_shift, 2 * MIB);
	for (int i = 0; i < 100; i++) {
		struct uffdctl_fault f = fault(5, 0x10000000 + 10 * MIB, 1000);

		model_fault(m, &f);
	}
	OK(map->hot && map->heat[5] == 100 && map->heat[4] == 0 && map->heat[6] == 0);
	model_tick(m, 101 * SECOND, &st);
	OK(map->heat[5] > 50 && map->heat[5] < 70);
	for (int i = 2; i < 30; i++)
		model_tick(m, (100 + i) * SECOND, &st);
	OK(!map->hot && map->heat[5] == 0);
	free(scan);
	free(m);
}

/* Whatever comes: no fault gets lost, and no row is there twice. */
TEST("view-model-random")
{
	struct model *m = new_model();
	struct scan *scan = new_scan(0);
	struct uffdctl_watch_stats st = {};
	const int n = 200000;

	srandom(1);
	for (int i = 0; i < n; i++) {
		struct uffdctl_fault f = fault(random() % 6000, (random() % 3000) * MIB, random() % 100000000);
		char name[16];

		snprintf(name, sizeof(name), "/%ld", random() % 1500);
		f.name = name;
		f.target_pid = random() % 3;
		f.ip = random() % 10000;
		model_fault(m, &f);
		if (i % 5000)
			continue;
		scan->number++;
		scan->nr_mappings = 0;
		for (int k = 0; k < 500; k++)
			add_mapping(scan, (pid_t)(random() % 3), k * 3 * MIB, MIB, random() % 2 ? "/1" : "/2");
		model_scanned(m, scan);
		model_tick(m, (100 + i / 1000) * SECOND, &st);
	}
	for (int g = 0; g < NR_GROUPINGS; g++)
		NUM(sum_of(&m->groups[g]), n);
	free(scan);
	free(m);
}

/* ---- the table ---- */

TEST("view-rows-sort-and-filter")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct table_state *t = &v->picture.table;
	static const char *const names[] = { "beta", "alpha", "gamma" };
	struct field label = {};

	for (int i = 0; i < 6; i++) {
		struct uffdctl_fault f = fault(i < 3 ? 300 : i < 5 ? 20 : 1000, 0, 1000 * (i + 1));

		snprintf(f.comm, sizeof(f.comm), "%s", names[i < 3 ? 0 : i < 5 ? 1 : 2]);
		model_fault(m, &f);
	}
	t->grouping = BY_THREAD;
	view_gather(v);
	NUM(t->nr_rows, 3);
	NUM(table_group(v, 0)->tid, 300);
	pane_table.sort(&v->picture, 0);
	OK(t->sort[BY_THREAD].ascending);
	view_gather(v);
	/* by number: 20, 300, 1000 */
	NUM(table_group(v, 0)->tid, 20);
	NUM(table_group(v, 2)->tid, 1000);
	label_group(&v->picture, table_group(v, 2), &label);
	STR(label.text, "1000 gamma");
	field_free(&label);
	snprintf(v->picture.filter, sizeof(v->picture.filter), "ALPH");
	view_gather(v);
	NUM(t->nr_rows, 1);
	free(v);
	free(m);
}

static const char *title(const struct view *v, enum pane_id id, const struct window *w, struct line *l)
{
	line_init(l, 120, false);
	pane_title(panes[id], &v->picture, STYLE_TITLE, w, 120, l);
	return l->text;
}

/* Table and log have only what has the text in a name, and say how many of how many that are. */
TEST("view-filter-limits-table-and-log")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct line l;

	for (int i = 0; i < 10; i++) {
		struct uffdctl_fault f = fault(i < 3 ? 20 : 300 + i % 2, 0x10000, 20);

		snprintf(f.comm, sizeof(f.comm), "%s", i < 3 ? "alpha" : "beta");
		model_fault(m, &f);
	}
	v->picture.table.grouping = BY_THREAD;
	/* "20" is a number of faults or a wait, too: these are not looked at. */
	static const struct {
		const char *filter, *table, *log;
	} filters[] = {
		{ "ALPH", "filter: ALPH 1 of 3 rows, 3 of 10 faults ", "filter: ALPH 3 of 10 faults " },
		{ "20 al", "filter: 20 al 1 of 3 rows, 3 of 10 faults ", "filter: 20 al 3 of 10 faults " },
		{ "20", "filter: 20 1 of 3 rows, 3 of 10 faults ", "filter: 20 3 of 10 faults " },
		{ "handler", "filter: handler 3 of 3 rows, 10 of 10 faults ", "filter: handler 10 of 10 faults " },
		{ "memfd:g", "filter: memfd:g 0 of 3 rows, 0 of 10 faults ", "filter: memfd:g 10 of 10 faults " },
		{ "", "by thread (F5: team, process, resolver, instruction, mapping) 3 rows ", "last faults --" },
	};
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		snprintf(v->picture.filter, sizeof(v->picture.filter), "%s", filters[i].filter);
		view_gather(v);
		PART(title(v, PANE_TABLE, NULL, &l), filters[i].table);
		PART(title(v, PANE_LOG, NULL, &l), filters[i].log);
	}
	/* A pane that has more rows than room says so. */
	PART(title(v, PANE_TABLE, &(struct window){ 1, 1 }, &l), " 2 of 3 rows ");
	PART(title(v, PANE_TABLE, &(struct window){ 1, 2 }, &l), " 2-3 of 3 rows ");
	PART(title(v, PANE_LOG, &(struct window){ 6, 4 }, &l), " 7-10 of 10 ");
	free(v);
	free(m);
}

/* Anonymous memory has a label and an offset from its start, everywhere; a file has its own offset. */
TEST("view-anonymous-memory")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct scan *scan = new_scan(1);
	static const struct {
		const char *name;
		uint64_t offset;
		const char *row, *place;
	} places[] = { { "", UFFDCTL_UNKNOWN, " [anon:7f1640000000] ", " [anon:7f1640000000]+0x3000" },
		       { "[heap]", UFFDCTL_UNKNOWN, " [heap] ", " [heap]+0x3000" },
		       { "[anon:a/b]", UFFDCTL_UNKNOWN, " [anon:a/b] ", " [anon:a/b]+0x3000" },
		       { "/tmp/x", 0x9000, " /tmp/x ", " x+0x9000" } };
	struct line l;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct uffdctl_fault f = fault(5, 0x7f1640003000, 1000);

		f.name = places[i].name;
		f.offset = places[i].offset;
		scan->number++;
		scan->nr_mappings = 0;
		add_mapping(scan, 7, 0x7f1640000000, MIB, places[i].name);
		scan->nr_targets = scan->nr_waiters = scan->nr_waiting = 1;
		scan->waiters[0] =
			(struct waiter){ .tid = 5, .target_pid = 7, .addr = f.addr, .offset = places[i].offset };
		snprintf(scan->waiters[0].name, VIEW_NAME, "%s", places[i].name);
		model_scanned(m, scan);
		model_reset(m, 1, &(struct uffdctl_watch_stats){});
		model_fault(m, &f);
		view_gather(v);
		line_init(&l, 120, false);
		pane_row(&pane_table, &v->picture, 0, 120, &l);
		PART(l.text, places[i].row);
		line_init(&l, 120, false);
		pane_row(panes[PANE_HEAT], &v->picture, 0, 120, &l);
		PART(l.text, places[i].row);
		line_init(&l, 120, false);
		pane_row(&pane_wait, &v->picture, 0, 120, &l);
		PART(l.text, places[i].place);
		line_init(&l, 120, false);
		pane_row(panes[PANE_LOG], &v->picture, v->picture.log.nr_rows - 1, 120, &l);
		PART(l.text, places[i].place);
	}
	free(scan);
	free(v);
	free(m);
}

/* Mappings with one name differ in their addresses, which a narrow column keeps. */
TEST("view-namesakes")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct scan *scan = new_scan(1);
	struct line l;

	add_mapping(scan, 7, 0x7f1640000000, MIB, "/memfd:guest-memory");
	add_mapping(scan, 7, 0x7f1650000000, MIB, "/memfd:guest-memory");
	add_mapping(scan, 7, 0x7f1660000000, MIB, "/memfd:other");
	scan->nr_targets = 1;
	/* What was counted by its name before the scan is not taken for one of them. */
	for (uint64_t addr = 0x7f1640000000; addr <= 0x7f1650000000; addr += 0x10000000) {
		struct uffdctl_fault f = fault(5, addr, 1000);

		f.name = "/memfd:guest-memory";
		model_fault(m, &f);
	}
	model_scanned(m, scan);
	OK(!mappings_by_id(&m->mappings, (uint32_t)m->groups[BY_MAPPING].rows[1].key)->range.end);
	view_gather(v);
	for (size_t i = 0; i < 3; i++) {
		line_init(&l, 60, true);
		pane_row(panes[PANE_HEAT], &v->picture, i, 60, &l);
		PART(l.text, i == 2 ? " /memfd:other   "
			     : i    ? " guest-\xe2\x80\xa6 7f1650000000 "
				    : " guest-\xe2\x80\xa6 7f1640000000 ");
	}
	free(scan);
	free(v);
	free(m);
}

/* The rows of a resolver differ in their ioctl alone: it is there at each width. */
TEST("view-resolver-rows-differ")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct uffdctl_fault f = fault(5, 0, 1000);
	struct line l;

	model_fault(m, &f);
	f.op = "copy";
	model_fault(m, &f);
	v->picture.table.grouping = BY_RESOLVER;
	view_gather(v);
	NUM(v->picture.table.nr_rows, 2);
	for (size_t i = 0; i < 2; i++) {
		line_init(&l, 60, false);
		pane_row(&pane_table, &v->picture, i, 60, &l);
		PART(l.text, table_group(v, i)->op);
	}
	free(v);
	free(m);
}

/* The column that rows are sorted by is there at each width. */
TEST("view-sorted-column-is-shown")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct fit fit;

	for (int w = VIEW_MIN_WIDTH; w < 250; w += 10)
		for (int i = 0; i < pane_table.columns(&v->picture).nr; i++) {
			v->picture.table.sort[BY_MAPPING].column = i;
			struct columns c = pane_table.columns(&v->picture);

			columns_fit(&c, w, &fit);
			OK(c.hidden >> i & 1 || (fit.shown >> i & 1 && fit.grown >= 18));
		}
	free(v);
	free(m);
}

/* One that has ended before the scanner opened it has no name there: that of the fault stays. */
TEST("view-label-of-ended-process")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct table_state *t = &v->picture.table;
	struct uffdctl_fault f = fault(8, 0, 1000);
	struct field label = {};

	model_fault(m, &f);
	m->scan.targets[m->scan.nr_targets++] = (struct target){ .pid = 7, .gone = true };
	t->grouping = BY_PROCESS;
	view_gather(v);
	label_group(&v->picture, table_group(v, 0), &label);
	STR(label.text, "7 thread");
	field_free(&label);
	snprintf(m->scan.targets[0].comm, sizeof(m->scan.targets[0].comm), "first");
	label_group(&v->picture, table_group(v, 0), &label);
	STR(label.text, "7 first");
	field_free(&label);
	free(v);
	free(m);
}

TEST("view-table-fits")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct uffdctl_fault f = fault(5, 0, 1000);

	snprintf(f.comm, sizeof(f.comm), "%s", "\xe4\xbd\xa0\xe5\xa5\xbd\x1b[2J");
	model_fault(m, &f);
	for (int g = 0; g < NR_GROUPINGS; g++) {
		v->picture.table.grouping = g;
		view_gather(v);
		for (int w = VIEW_MIN_WIDTH; w <= 300; w++) {
			struct columns c = pane_table.columns(&v->picture);
			struct line head, row;
			struct fit fit;

			columns_fit(&c, w, &fit);
			OK(fit.shown & 1 && fit.grown >= c.least);
			line_init(&head, w, true);
			pane_heads(&pane_table, &v->picture, w, &head);
			line_init(&row, 1000, true);
			pane_row(&pane_table, &v->picture, 0, w, &row);
			OK(head.cols == w && row.cols <= w);
			OK(text_width(row.text, true) == row.cols);
			NUM(columns_at(&c, w, 2), 0);
			OK(!strchr(row.text, '\x1b'));
		}
	}
	free(v);
	free(m);
}

/* ---- cursors ---- */

/* Away from the top a cursor stays with its row, wherever that goes; the log's stays with the newest. */
TEST("view-cursors-follow-rows")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	pid_t tid;

	v->picture.table.grouping = BY_THREAD;
	for (int i = 0; i < 30; i++) {
		struct uffdctl_fault f = fault(100 + i % 10, 0, 1000);

		model_fault(m, &f);
	}
	view_gather(v);
	view_arrange(v, 100, 50);
	view_move(v, PANE_TABLE, 3);
	tid = table_group(v, v->cursors[PANE_TABLE].at)->tid;
	NUM(v->cursors[PANE_LOG].at, 29);
	for (int i = 0; i < 5; i++) {
		struct uffdctl_fault f = fault(tid, 0, 1000);

		model_fault(m, &f);
	}
	view_gather(v);
	view_arrange(v, 100, 50);
	NUM(v->cursors[PANE_TABLE].at, 0);
	NUM(table_group(v, 0)->tid, tid);
	NUM(v->cursors[PANE_LOG].at, 34);
	view_move(v, PANE_LOG, -4);
	NUM(v->cursors[PANE_LOG].at, 30);
	view_arrange(v, 100, 50);
	NUM(v->cursors[PANE_LOG].at, 30);
	free(v);
	free(m);
}

/* C works on the mapping that is selected where keys go to; else on the one that the selected thread waits in. */
TEST("view-selected-mapping")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct scan *scan = new_scan(1);
	struct uffdctl_fault f = fault(5, 0x400000, 1000);

	add_mapping(scan, 7, 0x10000, MIB, "/one");
	add_mapping(scan, 7, 0x400000, MIB, "/two");
	scan->nr_waiters = scan->nr_waiting = 1;
	scan->waiters[0] = (struct waiter){ .tid = 5, .target_pid = 7, .addr = 0x11000 };
	model_scanned(m, scan);
	model_fault(m, &f);
	view_gather(v);
	view_arrange(v, 100, 50);
	v->focus = PANE_LOG;
	OK(view_selected_waiter(v) == &m->scan.waiters[0]);
	STR(view_selected_mapping(v)->name, "/one");
	v->focus = PANE_TABLE;
	STR(view_selected_mapping(v)->name, "/two");
	v->picture.table.grouping = BY_THREAD;
	view_gather(v);
	STR(view_selected_mapping(v)->name, "/one");
	v->focus = PANE_HEAT;
	view_move(v, PANE_HEAT, 1);
	STR(view_selected_mapping(v)->name, "/one");
	free(scan);
	free(v);
	free(m);
}

/* ---- text ---- */

TEST("view-text-widths")
{
	struct line l;

	setlocale(LC_ALL, "C.UTF-8");
	NUM(text_width("abc", true), 3);
	NUM(text_width("\xe4\xbd\xa0\xe5\xa5\xbd", true), 4);
	NUM(text_width("e\xcc\x81", true), 1);
	NUM(text_width("\xe4\xbd\xa0", false), 1);
	line_init(&l, 80, true);
	line_field(&l, STYLE_PLAIN, "\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96", 4, false);
	/* The second half of a wide character has no place: a blank, then the mark. */
	STR(l.text, "\xe4\xbd\xa0 \xe2\x80\xa6");
	NUM(l.cols, 4);
	line_init(&l, 80, true);
	line_field(&l, STYLE_PLAIN, "12", 5, true);
	line_field(&l, STYLE_PLAIN, "ab", 4, false);
	STR(l.text, "   12ab  ");
	line_init(&l, 80, false);
	line_field(&l, STYLE_PLAIN, "\xe4\xbd\xa0x", 3, false);
	line_field(&l, STYLE_PLAIN, "abcdef", 4, false);
	STR(l.text, "?x abc~");
	line_init(&l, 5, true);
	line_add(&l, STYLE_PLAIN, "1234567");
	STR(l.text, "12345");
	/* An accent more than anybody writes on one letter is left out, and one on no letter. */
	line_init(&l, 80, true);
	line_add(&l, STYLE_PLAIN,
		 "\xcc\x81"
		 "a\xcc\x81\xcc\x81\xcc\x81\xcc\x81"
		 "b");
	STR(l.text, "a\xcc\x81\xcc\x81"
		    "b");
}

TEST("view-text-numbers")
{
	char b[NUM_SIZE];

	STR(text_count(b, 0, 9), "0");
	STR(text_count(b, 12113, 9), "12,113");
	STR(text_count(b, 1234567, 9), "1,234,567");
	STR(text_count(b, 12345678, 9), "12.3M");
	STR(text_count(b, 999999999, 9), "1.0G");
	STR(text_count(b, UFFDCTL_UNKNOWN, 9), "-");
	STR(text_wait(b, 41, true), "41ns");
	STR(text_wait(b, 41000, false), "41.0us");
	STR(text_wait(b, 41000, true), "41.0\xc2\xb5s");
	STR(text_wait(b, 128000, false), "128us");
	STR(text_wait(b, 1024000, false), "1.0ms");
	STR(text_wait(b, 999990, false), "1.0ms");
	STR(text_wait(b, 12 * SECOND, false), "12.0s");
	STR(text_wait(b, 723 * SECOND, false), "12m03s");
	STR(text_wait(b, 12000 * SECOND, false), "3h20m");
	STR(text_bound(b, 41, true), "\xe2\x89\xa4"
				     "41ns");
	STR(text_bound(b, 1049001, true), "\xe2\x89\xa4"
					  "1.05ms");
	STR(text_bound(b, 21233664, true), "\xe2\x89\xa4"
					   "21.3ms");
	STR(text_bound(b, 21233664, false), "<=22ms");
	STR(text_bound(b, 999001, false), "<=1.0ms");
	STR(text_bound(b, 860001, true), "\xe2\x89\xa4"
					 "861\xc2\xb5s");
	STR(text_bound(b, 723 * SECOND, true), "\xe2\x89\xa4"
					       "12m03s");
	STR(text_bound(b, UFFDCTL_UNKNOWN, true), "-");
	STR(text_longest(b, 21233664, false), "21.3ms");
	STR(text_longest(b, 16 * SECOND, false), "16.0s");
	STR(text_longest(b, 0, false), "0ns");
	STR(text_bytes(b, 4096), "4K");
	STR(text_bytes(b, 3 * MIB / 2), "1.5M");
	STR(text_bytes(b, UINT64_C(4) << 30), "4G");
	STR(text_uptime(b, 751 * SECOND), "12:31");
	STR(text_uptime(b, 3723 * SECOND), "1:02:03");
	NUM(shade_of(0, 100), 0);
	NUM(shade_of(0.5, 1000), 1);
	NUM(shade_of(100, 100), 8);
}

TEST("view-durations")
{
	char b[DURATION_SIZE];

	STR(duration_text(b, 0, 0), "0ns");
	STR(duration_text(b, 999, 0), "999ns");
	STR(duration_text(b, 1000, 0), "1.0us");
	STR(duration_text(b, 128049, 0), "128.0us");
	STR(duration_text(b, 128050, 0), "128.1us");
	STR(duration_text(b, 999949, 0), "999.9us");
	STR(duration_text(b, 999950, 0), "1.0ms");
	STR(duration_text(b, 59 * SECOND + 960 * MILLISECOND, 0), "60.0s");
	STR(duration_text(b, 60 * SECOND, 0), "1m00s");
	STR(duration_text(b, 3 * 3600 * SECOND + 61 * SECOND, 0), "3h01m");
	STR(duration_text(b, UFFDCTL_UNKNOWN, 0), "-");
	STR(duration_text(b, 99949, DURATION_SHORT), "99.9us");
	STR(duration_text(b, 99950, DURATION_SHORT), "100us");
	STR(duration_text(b, 33554432, DURATION_WHOLE | DURATION_MICRO), "34ms");
	STR(duration_text(b, 1000, DURATION_WHOLE | DURATION_MICRO), "1\xc2\xb5s");
}

TEST("view-text-bar")
{
	struct line l;

	line_init(&l, 80, true);
	line_bar(&l, STYLE_PLAIN, 1, 1000, 4);
	STR(l.text, "\xe2\x96\x8f   ");
	NUM(l.cols, 4);
	line_init(&l, 80, false);
	line_bar(&l, STYLE_PLAIN, 5, 10, 4);
	STR(l.text, "##  ");
}

TEST("view-text-names")
{
	char *s = text_name("/memfd:guest (deleted)");

	STR(s, "/memfd:guest");
	free(s);
	s = text_name("/tmp/x (deleted)");
	STR(s, "/tmp/x (deleted)");
	free(s);
	s = text_name("\x1b[2J\xff");
	STR(s, "\\x1b[2J\\xff");
	free(s);
}

/* ---- the layout ---- */

static bool covers(const struct layout *l, char *seen)
{
	memset(seen, 0, (size_t)l->width * l->height);
	for (int p = 0; p < NR_PANES; p++) {
		const struct box *b = &l->boxes[p];

		for (int y = b->y; y < b->y + b->height; y++)
			for (int x = b->x; x < b->x + b->width; x++)
				if (y < l->header || y >= l->height - 1 || x >= l->width || seen[y * l->width + x]++)
					return false;
	}
	for (int i = l->header * l->width; i < (l->height - 1) * l->width; i++)
		if (!seen[i])
			return false;
	return true;
}

/* At each size each place belongs to one pane, and the table is worth looking at. */
TEST("view-layout-any-size")
{
	static char seen[250 * 80];
	struct layout l;

	for (int w = VIEW_MIN_WIDTH; w < 250; w++)
		for (int h = VIEW_MIN_HEIGHT; h < 80; h++)
			for (int log = LOG_AUTO; log <= LOG_OFF; log++)
				for (size_t nr = 0; nr < 12; nr += 3) {
					const struct layout_needs needs = { nr, nr % 2 * 5, nr * 3, log };

					layout_make(w, h, &needs, &l);
					if (l.too_small || !covers(&l, seen) || box_rows(&l.boxes[PANE_TABLE]) < 3 ||
					    box_rows(&l.boxes[PANE_WAIT]) < 2 || box_rows(&l.boxes[PANE_HEAT]) < 1)
						fail_at(__LINE__, "%dx%d, %zu mappings, log %d", w, h, nr, log);
				}
	/* A log that the user wants has room on a usual screen. */
	layout_make(80, 24, &(struct layout_needs){ 3, 0, 8, LOG_ON }, &l);
	OK(box_rows(&l.boxes[PANE_LOG]) >= 2 && box_rows(&l.boxes[PANE_TABLE]) >= 3);
	NUM(layout_log_lines(60, &(struct layout_needs){ 3, 0, 5, LOG_AUTO }), 17);
	NUM(layout_log_lines(60, &(struct layout_needs){ 3, 0, 0, LOG_AUTO }), 17);
	/* Threads that are stuck have more room, as far as the table leaves it. */
	layout_make(80, 24, &(struct layout_needs){ 1, 0, 7, LOG_AUTO }, &l);
	NUM(box_rows(&l.boxes[PANE_WAIT]), 7);
	layout_make(80, 24, &(struct layout_needs){ 1, 0, 1000, LOG_AUTO }, &l);
	OK(box_rows(&l.boxes[PANE_WAIT]) >= 7 && box_rows(&l.boxes[PANE_TABLE]) >= 3);
	/* What failed has room where there is some. */
	layout_make(80, 24, &(struct layout_needs){ 1, 9, 0, LOG_AUTO }, &l);
	NUM(box_rows(&l.boxes[PANE_FAILURES]), 1);
	layout_make(80, VIEW_MIN_HEIGHT, &(struct layout_needs){ 1, 9, 0, LOG_AUTO }, &l);
	NUM(l.boxes[PANE_FAILURES].height, 0);
	layout_make(VIEW_MIN_WIDTH - 1, 24, &(struct layout_needs){ 1, 0, 0, LOG_AUTO }, &l);
	OK(l.too_small);
	layout_make(80, VIEW_MIN_HEIGHT - 1, &(struct layout_needs){ 1, 0, 0, LOG_AUTO }, &l);
	OK(l.too_small);
}

/* No line of any pane is wider than its pane, at any width, with the longest numbers. */
TEST("view-lines-fit")
{
	struct model *m = new_model();
	struct view *v = new_view(m);
	struct scan *scan = new_scan(1);
	struct uffdctl_fault f = fault(4194304, 0x7fff00000000, 16 * SECOND);
	struct uffdctl_watch_stats st = { .pending = 123456, .lost_events = 123456789, .missed = 123456789 };

	add_mapping(scan, 7, 0x7fff00000000, UINT64_C(1) << 40, "/dev/shm/a-name-that-is-long-enough-for-anybody");
	scan->mappings[0].modes = 15;
	snprintf(scan->mappings[0].holders, sizeof(scan->mappings[0].holders), "4194304:1000 4194303:1001");
	scan->nr_waiters = scan->nr_waiting = 1;
	scan->waiters[0] = (struct waiter){ .pid = 4194304,
					    .tid = 4194304,
					    .target_pid = 7,
					    .addr = 0x7fff00000000,
					    .offset = UINT64_C(1) << 39,
					    .slept_ns = 86400 * SECOND,
					    .comm = "fifteen letters",
					    .kind = UFFDCTL_KIND_MISSING,
					    .access = UFFDCTL_ACCESS_WRITE,
					    .state = UFFDCTL_WAIT_DELIVERED,
					    .holder_pid = 4194304,
					    .holder_fd = 1000 };
	for (int k = 0; k < 4; k++)
		st.faults[k] = 1234567890123;
	for (int b = 0; b < UFFDCTL_NR_BUCKETS; b++)
		st.buckets[b] = 1234567890 + b;
	st.failed_ioctls = 1234567890123;
	failures_add(&m->failures, &(struct uffdctl_failure_totals){ 4194304, 4194304, "fifteen letters", 6, 4000, 1234567890123 });
	model_scanned(m, scan);
	model_tick(m, 100 * SECOND, &(struct uffdctl_watch_stats){});
	model_fault(m, &f);
	model_tick(m, 101 * SECOND, &st);
	view_gather(v);
	/* Sizes that a terminal has while it is being resized must do no harm, either. */
	for (int w = 0; w < VIEW_MIN_WIDTH; w++) {
		view_arrange(v, w, 5);
		view_gather(v);
	}
	v->log = LOG_ON;
	for (int w = VIEW_MIN_WIDTH; w < 300; w++) {
		view_arrange(v, w, 50);
		view_gather(v);
		for (int id = 0; id < NR_PANES; id++) {
			int room = v->layout.boxes[id].width;
			struct line l;

			line_init(&l, 1000, true);
			if (panes[id]->body)
				panes[id]->body(&v->picture, 0, 10, room, &l);
			else
				pane_row(panes[id], &v->picture, 0, room, &l);
			if (l.cols > room)
				fail_at(__LINE__, "pane %d: %d of %d columns: %s", id, l.cols, room, l.text);
			line_init(&l, 1000, true);
			pane_title(panes[id], &v->picture, STYLE_TITLE, NULL, room, &l);
			OK(l.cols <= room || w < 70 || id == PANE_HISTOGRAM);
		}
	}
	free(scan);
	free(v);
	free(m);
}

TEST("view-messages-muted")
{
	struct view_messages m = { .muted = true };

	messages_keep(&m, "what was to be expected");
	NUM(m.nr_kept, 0);
	STR(m.text, "");
	OK(!m.changed);
	m.muted = false;
	messages_keep(&m, "an error");
	NUM(m.nr_kept, 1);
	STR(m.text, "an error");
}
