// SPDX-License-Identifier: GPL-2.0-or-later
/* The panes of the view as lines of text: waiting threads, heat of mappings, last events, and titles. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/names.h"
#include "cmd/watch/view/view.h"

/* When a wait looks bad, and when it is: a handler answers within milliseconds. */
#define WARN_NS (1 * SECOND)
#define BAD_NS (10 * SECOND)

/* In how many seconds the scale of heat comes down to half; and what is little at any time. */
#define HALVES_S 5
#define FEW_FAULTS 8

/* "guest+0x2c1000": a long name gives way, the offset stays. */
static void add_where(const struct view *v, struct line *l, const char *raw, uint64_t offset, uint64_t addr, int width)
{
	_cleanup_free_ char *name = raw && *raw ? text_name(raw) : NULL;
	char at[NUM_SIZE] = "";
	const char *base = name;
	int room;

	if (addr == UFFDCTL_UNKNOWN) {
		line_field(l, STYLE_PLAIN, "-", width, false);
		return;
	}
	if (!name || offset == UFFDCTL_UNKNOWN) {
		snprintf(at, sizeof(at), "%s%" PRIx64, name ? " " : "", addr);
	} else {
		base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
		base = strncmp(base, "memfd:", 6) ? base : base + 6;
		snprintf(at, sizeof(at), "+0x%" PRIx64, offset);
	}
	room = width - (int)strlen(at);
	if (base && room > 0)
		line_field(l, STYLE_PLAIN, base, text_width(base, v->utf8) < room ? text_width(base, v->utf8) : room,
			   false);
	line_field(l, STYLE_PLAIN, at, room > 0 && base ? (int)strlen(at) : width, false);
}

/* ---- the threads that wait ---- */

/* What has room beside mark, TID, COMM, SLEPT and KIND. */
struct wait_columns {
	bool access, state, holder, address;
	int comm, where;
};

static struct wait_columns wait_columns(int width)
{
	struct wait_columns c = { .comm = width >= 64 ? 15 : 10 };

	/* 2 mark, 7 TID, SLEPT 7, KIND 8, and blanks */
	c.where = width - (2 + 7 + 1 + c.comm + 1 + 7 + 1 + 8);
	c.state = c.where >= 26;
	c.where -= c.state ? 10 : 0;
	c.access = c.where >= 28;
	c.where -= c.access ? 7 : 0;
	c.address = c.where >= 46;
	c.where -= c.address ? 18 : 0;
	c.holder = c.where >= 34;
	c.where -= c.holder ? 14 : 0;
	return c;
}

static void wait_heads(int width, struct line *l)
{
	struct wait_columns c = wait_columns(width);

	line_addf(l, STYLE_HEAD, "  %7s %-*s %7s %-8s", "TID", c.comm, "COMM", "SLEPT", "KIND");
	line_add(l, STYLE_HEAD, c.access ? "ACCESS " : "");
	line_add(l, STYLE_HEAD, c.state ? "STATE     " : "");
	if (c.holder)
		line_addf(l, STYLE_HEAD, "%-14s", "HOLDER");
	if (c.address)
		line_addf(l, STYLE_HEAD, "%-18s", "ADDR");
	line_add(l, STYLE_HEAD, "WHERE");
	line_to(l, STYLE_HEAD, width, " ");
}

static void wait_row(const struct view *v, size_t i, int width, struct line *l)
{
	const struct waiter *w = &v->m->scan.waiters[i];
	struct wait_columns c = wait_columns(width);
	uint64_t ns = w->slept_ns;
	bool known = ns != UFFDCTL_UNKNOWN;
	enum style style = known && ns >= BAD_NS ? STYLE_BAD : known && ns >= WARN_NS ? STYLE_WARN : STYLE_PLAIN;
	_cleanup_free_ char *comm = NULL;
	char num[NUM_SIZE];

	uffdctl_escape(w->comm, &comm);
	/* The mark tells without colours, too. */
	line_add(l, style, style == STYLE_BAD ? "!!" : style == STYLE_WARN ? "! " : "  ");
	line_addf(l, STYLE_PLAIN, "%7d ", w->tid);
	line_field(l, STYLE_PLAIN, comm ?: "?", c.comm, false);
	line_field(l, style, text_wait(num, ns, v->utf8), 8, true);
	line_add(l, STYLE_PLAIN, " ");
	line_field(l, STYLE_PLAIN, uffdctl_kind_name(w->kind) ?: "-", 8, false);
	if (c.access)
		line_field(l, STYLE_PLAIN, access_name(w->access) ?: "-", 7, false);
	if (c.state)
		line_field(l, STYLE_PLAIN, wait_state_name(w->state) ?: "-", 10, false);
	if (c.holder) {
		snprintf(num, sizeof(num), w->holder_pid ? "%d:%d" : "-", w->holder_pid, w->holder_fd);
		line_field(l, STYLE_PLAIN, num, 14, false);
	}
	if (c.address) {
		snprintf(num, sizeof(num), w->addr == UFFDCTL_UNKNOWN ? "-" : "%" PRIx64, w->addr);
		line_field(l, STYLE_PLAIN, num, 18, false);
	}
	add_where(v, l, w->name, w->offset, w->addr, c.where);
}

/* ---- where the faults are ---- */

static int cmp_heat(const void *a, const void *b, void *arg)
{
	const struct model *m = arg;
	const struct mapping *p = &m->mappings.slots[*(const uint32_t *)a],
			     *q = &m->mappings.slots[*(const uint32_t *)b];

	/* Those that had faults are on top, but a fault more or less moves nothing. */
	if (!p->faults != !q->faults)
		return p->faults ? -1 : 1;
	if (p->pid != q->pid)
		return p->pid < q->pid ? -1 : 1;
	return p->range.start < q->range.start ? -1 : p->range.start > q->range.start;
}

struct heat_columns {
	int name, modes, strip, holders;
	uint64_t cell; /* bytes */
};

/*
 * The smallest of 4K, 8K, 12K, 16K, 24K, … with which so many cells are enough: steps of two alone would leave
 * half of a strip's place empty. Each is made of whole cells of the model.
 */
static uint64_t strip_cell(uint64_t largest, uint64_t nr_cells)
{
	uint64_t cell = 4096, fine = 4096;

	while ((largest + fine - 1) / fine > VIEW_NR_CELLS)
		fine *= 2;
	for (; (largest + cell - 1) / cell > nr_cells; cell *= 2)
		if (cell / 2 >= fine && (largest + cell / 2 * 3 - 1) / (cell / 2 * 3) <= nr_cells)
			return cell / 2 * 3;
	return cell;
}

static struct heat_columns heat_columns(const struct view *v, int width)
{
	struct heat_columns c = { .name = 12, .modes = 2, .holders = 0, .cell = 4096 };
	uint64_t largest = 0;
	int name_max = width / 4;

	for (size_t i = 0; i < v->nr_heat; i++) {
		const struct mapping *map = &v->m->mappings.slots[v->heat[i]];
		_cleanup_free_ char *name = mapping_label(v, map);
		int w = name ? text_width(name, v->utf8) : 0, bits = __builtin_popcountll(map->modes & 15),
		    h = (int)strlen(map->holders);

		if (map->range.end - map->range.start > largest)
			largest = map->range.end - map->range.start;
		c.name = w > c.name ? w : c.name;
		c.modes = 3 * bits - 1 > c.modes ? 3 * bits - 1 : c.modes;
		c.holders = h > c.holders ? h : c.holders;
	}
	c.name = c.name < name_max ? c.name : name_max;
	c.holders = width < SCREEN_WIDE ? 0 : c.holders < width / 5 ? c.holders : width / 5;
	c.strip = width - (1 + c.name + 1 + 6 + 1 + c.modes + 1 + 2 + (c.holders ? 1 + c.holders : 0)) - 1;
	c.strip = c.strip > VIEW_NR_CELLS ? VIEW_NR_CELLS : c.strip > 1 ? c.strip : 1;
	c.cell = strip_cell(largest, (uint64_t)c.strip);
	/* Holders stand right behind the longest. */
	c.strip = (int)((largest + c.cell - 1) / c.cell);
	return c;
}

static void modes_text(uint64_t modes, char *buf)
{
	static const uint64_t order[] = { UFFDCTL_MODE_MINOR, UFFDCTL_MODE_MISSING, UFFDCTL_MODE_WP, UFFDCTL_MODE_RWP };
	int len = 0;

	*buf = '\0';
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (modes & order[i])
			len += snprintf(buf + len, NUM_SIZE - (size_t)len, "%s%s", len ? " " : "",
					mode_flag_name((unsigned int)__builtin_ctzll(order[i])));
}

static double cell_heat(const struct mapping *map, uint64_t cell, uint64_t n)
{
	uint64_t fine = UINT64_C(1) << map->cell_shift, from = n * cell / fine, to = (n + 1) * cell / fine;
	double sum = 0;

	for (uint64_t i = from; i < to && i < VIEW_NR_CELLS; i++)
		sum += (double)map->heat[i];
	return sum;
}

static double hottest_now(const struct view *v, uint64_t cell)
{
	double most = 0, heat;

	for (size_t i = 0; i < v->nr_heat; i++) {
		const struct mapping *map = &v->m->mappings.slots[v->heat[i]];

		for (uint64_t n = 0; map->hot && n * cell < map->range.end - map->range.start; n++) {
			heat = cell_heat(map, cell, n);
			most = heat > most ? heat : most;
		}
	}
	return most;
}

void heat_gather(struct view *v)
{
	const struct model *m = v->m;
	double now, s = m->now_ns > v->hottest_ns ? (double)(m->now_ns - v->hottest_ns) / SECOND : 0;

	v->nr_heat = 0;
	for (size_t i = 0; i < m->mappings.nr_by_addr; i++)
		v->heat[v->nr_heat++] = m->mappings.by_addr[i];
	qsort_r(v->heat, v->nr_heat, sizeof(v->heat[0]), cmp_heat, v->m);
	/* Were shades parts of what is hottest now, they would stay as they are when faults end. */
	now = v->layout.width && !v->layout.too_small ? hottest_now(v, heat_columns(v, v->layout.width).cell) : 0;
	v->hottest *= exp2(-s / HALVES_S);
	v->hottest = now > v->hottest ? now : v->hottest;
	v->hottest_ns = m->now_ns;
}

static void add_strip(const struct view *v, struct line *l, const struct mapping *map, const struct heat_columns *c)
{
	uint64_t cells = (map->range.end - map->range.start + c->cell - 1) / c->cell;
	double most = v->hottest > FEW_FAULTS ? v->hottest : FEW_FAULTS;

	line_add(l, STYLE_DIM, "[");
	for (uint64_t n = 0; n < cells; n++) {
		int level = shade_of(cell_heat(map, c->cell, n), most);
		/* With blocks the lowest stands for nothing, so that the extent shows. */
		int shown = v->utf8 && level < 2 ? level + 1 : level;

		line_add(l, !level ? STYLE_DIM : level >= 7 ? STYLE_WARN : STYLE_GOOD, text_shade(shown, v->utf8));
	}
	line_add(l, STYLE_DIM, "]");
}

static void heat_row(const struct view *v, size_t i, int width, struct line *l)
{
	const struct mapping *map = &v->m->mappings.slots[v->heat[i]];
	struct heat_columns c = heat_columns(v, width);
	_cleanup_free_ char *name = mapping_label(v, map);
	char num[NUM_SIZE];
	int end;

	line_add(l, STYLE_PLAIN, " ");
	line_field(l, STYLE_PLAIN, name ?: "?", c.name, false);
	line_field(l, STYLE_PLAIN, text_bytes(num, map->range.end - map->range.start), 7, true);
	line_add(l, STYLE_PLAIN, " ");
	modes_text(map->modes, num);
	line_field(l, STYLE_PLAIN, num, c.modes, false);
	line_add(l, STYLE_PLAIN, " ");
	end = l->cols + c.strip + 2;
	add_strip(v, l, map, &c);
	line_to(l, STYLE_PLAIN, end, " ");
	if (c.holders) {
		line_add(l, STYLE_PLAIN, " ");
		line_field(l, STYLE_DIM, map->holders, c.holders, false);
	}
}

/* ---- the last events ---- */

static void log_row(const struct view *v, size_t i, int width, struct line *l)
{
	const struct model *m = v->m;
	uint64_t nr = m->nr_events < VIEW_NR_EVENTS ? m->nr_events : VIEW_NR_EVENTS;
	const struct event *e = &m->events[(m->nr_events - nr + i) % VIEW_NR_EVENTS];
	const struct mapping *map = mappings_by_id(&m->mappings, e->mapping);
	_cleanup_free_ char *comm = NULL, *resolver = NULL;
	uint64_t at = e->start_ns > m->began_ns ? e->start_ns - m->began_ns : 0;
	char num[NUM_SIZE];

	uffdctl_escape(e->comm, &comm);
	uffdctl_escape(e->resolver_comm, &resolver);
	line_addf(l, STYLE_DIM, " %5s.%03" PRIu64, text_uptime(num, at), at / 1000000 % 1000);
	line_addf(l, STYLE_PLAIN, " %7d ", e->tid);
	line_field(l, STYLE_PLAIN, comm ?: "?", width < SCREEN_WIDE ? 10 : 15, false);
	line_addf(l, STYLE_PLAIN, " %-7s ", uffdctl_kind_name(e->kind));
	if (width >= SCREEN_WIDE)
		line_addf(l, STYLE_PLAIN, "%-6s", access_name(e->access) ?: "-");
	line_field(l, STYLE_STRONG, text_wait(num, e->wait_ns, v->utf8), 7, true);
	if (width >= SCREEN_WIDE)
		line_addf(l, STYLE_PLAIN, " %-10s", e->op ?: uffdctl_end_name(e->end));
	if (width >= 120) {
		snprintf(num, sizeof(num), " %7d ", e->resolver_pid);
		line_add(l, STYLE_PLAIN, e->resolver_pid ? num : "       - ");
		line_field(l, STYLE_PLAIN, e->resolver_pid ? resolver ?: "?" : "", 15, false);
	}
	line_add(l, STYLE_PLAIN, " ");
	if (width - l->cols > 4)
		add_where(v, l, map ? map->name : NULL, e->offset, e->addr, width - l->cols);
}

/* ---- any pane ---- */

size_t pane_rows(const struct view *v, enum pane p)
{
	const struct model *m = v->m;

	switch (p) {
	case PANE_WAIT:
		return m->scan.nr_waiters;
	case PANE_HEAT:
		return v->nr_heat;
	case PANE_TABLE:
		return v->rows.nr;
	case PANE_LOG:
		return m->nr_events < VIEW_NR_EVENTS ? m->nr_events : VIEW_NR_EVENTS;
	default:
		return 0;
	}
}

void pane_row(const struct view *v, enum pane p, size_t i, int width, struct line *l)
{
	if (p == PANE_WAIT)
		wait_row(v, i, width, l);
	else if (p == PANE_HEAT)
		heat_row(v, i, width, l);
	else if (p == PANE_TABLE)
		table_row_line(v, i, width, l);
	else
		log_row(v, i, width, l);
}

void pane_heads(const struct view *v, enum pane p, int width, struct line *l)
{
	if (p == PANE_WAIT)
		wait_heads(width, l);
	else
		table_heads(v, width, l);
}

/* A machine under load is looked at less often. */
#define OLD_NS (2 * SECOND)

static void add_wait_title(const struct view *v, struct line *l, enum style style)
{
	const struct scan *scan = &v->m->scan;
	char num[NUM_SIZE];

	line_add(l, style, " waiting longest ");
	if (!scan->ns)
		line_add(l, STYLE_DIM, "(looking) ");
	else if (scan->nr_waiting)
		line_addf(l, STYLE_WARN, "%s waiting ", text_count(num, scan->nr_waiting, 9));
	else
		line_add(l, STYLE_DIM, "none ");
	if (scan->ns && v->m->now_ns > scan->ns + OLD_NS)
		line_addf(l, STYLE_DIM, "(%.0f s ago) ", (double)(v->m->now_ns - scan->ns) / SECOND);
}

static void add_histogram_title(const struct view *v, struct line *l, enum style style)
{
	const struct uffdctl_watch_stats *st = &v->m->stats;
	uint64_t ended = totals_sum(st->ended, UFFDCTL_NR_ENDS);
	uint64_t unknown = totals_grown(ended, totals_sum(st->buckets, UFFDCTL_NR_BUCKETS));
	char num[NUM_SIZE];

	line_add(l, style, l->max < 40 ? " waits " : " how long they waited ");
	text_count(num, ended, 9);
	line_addf(l, STYLE_DIM, "%s ended ", num);
	if (unknown)
		line_addf(l, STYLE_DIM, "(%s not measured) ", text_count(num, unknown, 9));
}

static void add_table_title(const struct view *v, struct line *l, enum style style)
{
	char num[NUM_SIZE];
	const char *sep = "";

	line_addf(l, style, " by %s ", grouping_name(v->grouping));
	if (l->max >= SCREEN_WIDE && v->focus != NR_PANES) {
		line_add(l, STYLE_DIM, "(F5: ");
		for (int g = 1; g < NR_GROUPINGS; g++, sep = ", ")
			line_addf(l, STYLE_DIM, "%s%s", sep, grouping_name((v->grouping + g) % NR_GROUPINGS));
		line_add(l, STYLE_DIM, ") ");
	}
	if (*v->filter)
		line_addf(l, STYLE_WARN, "filter: %s ", v->filter);
	line_addf(l, STYLE_DIM, v->rows.nr == 1 ? "%s row " : "%s rows ", text_count(num, v->rows.nr, 9));
}

void pane_title(const struct view *v, enum pane p, int width, struct line *l)
{
	enum style style = v->focus == p ? STYLE_FOCUS : STYLE_TITLE;
	const char *rule = v->utf8 ? "─" : "-";
	char num[NUM_SIZE];

	line_to(l, STYLE_DIM, 2, rule);
	if (p == PANE_WAIT)
		add_wait_title(v, l, style);
	else if (p == PANE_TABLE)
		add_table_title(v, l, style);
	else if (p == PANE_HISTOGRAM)
		add_histogram_title(v, l, style);
	else if (p == PANE_LOG)
		line_add(l, style, " last faults ");
	else if (!v->nr_heat)
		line_add(l, style, " where ");
	else {
		line_add(l, style, " where ");
		line_addf(l, STYLE_DIM,
			  width >= SCREEN_WIDE ? "(a cell is %s; shade: faults in the last seconds) "
					       : "(a cell is %s) ",
			  text_bytes(num, heat_columns(v, width).cell));
	}
	line_to(l, STYLE_DIM, width, rule);
}
