// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of the view of watch, without a terminal: what it counts, and what it makes of that in text. */
#include <locale.h>

#include "../unit.h"
#include "cmd/duration.h"
#include "cmd/watch/clock.h"
#include "cmd/watch/view/header.h"
#include "cmd/watch/view/labels.h"
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
				       .comm = "thread",
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
		sum += gs->rows[i].faults;
	return sum;
}

/* ---- groups ---- */

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
	NUM(g->faults, 10);
	NUM(g->kinds[BY_KIND(UFFDCTL_KIND_MINOR)], 9);
	NUM(g->kinds[BY_KIND(UFFDCTL_KIND_WP)], 1);
	NUM(g->max_ns, 50000);
	NUM(group_percentile(g, 50), 4000);
	NUM(group_percentile(g, 99), 50000);
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
	NUM(gs->rows[0].faults, 10001 - VIEW_MAX_GROUPS);
	for (uint32_t i = 1; i <= gs->nr; i++) {
		newest &= gs->rows[i].key == 5 || gs->rows[i].key > 11000 - VIEW_MAX_GROUPS;
		oldest |= gs->rows[i].key == 5 && gs->rows[i].faults == 10000;
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
	NUM(m->groups[BY_MAPPING].rows[1].faults, 2);
	OK(model_find(m, 7, 0x10000) && model_find(m, 7, 0x10000 + MIB - 1));
	OK(!model_find(m, 7, 0x10000 + MIB) && !model_find(m, 7, 0xffff) && !model_find(m, 8, 0x10000));
	NUM(model_find(m, 7, 0x400000)->range.start, 0x400000);
	/* It goes: a late fault is still its own. */
	scan->number = 2;
	scan->nr_mappings = 0;
	model_scanned(m, scan);
	OK(!model_find(m, 7, 0x10000));
	model_fault(m, &f);
	NUM(m->groups[BY_MAPPING].rows[1].faults, 3);
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

/* The group in this row of the table. */
static const struct group *table_group(const struct view *v, size_t i)
{
	const struct table_state *t = &v->picture.table;

	return &v->frame->groups[t->grouping].rows[t->rows[i]];
}

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
	snprintf(t->filter, sizeof(t->filter), "ALPH");
	view_gather(v);
	NUM(t->nr_rows, 1);
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
				if (y < VIEW_HEADER || y >= l->height - 1 || x >= l->width || seen[y * l->width + x]++)
					return false;
	}
	for (int i = VIEW_HEADER * l->width; i < (l->height - 1) * l->width; i++)
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
					layout_make(w, h, nr, log, &l);
					if (l.too_small || !covers(&l, seen) || box_rows(&l.boxes[PANE_TABLE]) < 3 ||
					    box_rows(&l.boxes[PANE_WAIT]) < 2 || box_rows(&l.boxes[PANE_HEAT]) < 1)
						fail_at(__LINE__, "%dx%d, %zu mappings, log %d", w, h, nr, log);
				}
	layout_make(VIEW_MIN_WIDTH - 1, 24, 1, LOG_AUTO, &l);
	OK(l.too_small);
	layout_make(80, VIEW_MIN_HEIGHT - 1, 1, LOG_AUTO, &l);
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
			pane_title(panes[id], &v->picture, STYLE_TITLE, room, &l);
			OK(l.cols <= room || w < 70 || id == PANE_HISTOGRAM);
		}
	}
	free(scan);
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
