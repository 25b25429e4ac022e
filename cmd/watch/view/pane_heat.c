// SPDX-License-Identifier: GPL-2.0-or-later
/* The pane of the places of faults: each mapping as a strip of cells. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch/clock.h"
#include "cmd/watch/totals.h"
#include "cmd/watch/view/labels.h"
#include "cmd/watch/view/pane_heat.h"

/* The seconds in which the scale of heat halves; and its lower limit. */
#define HALVES_S 5
#define FEW_FAULTS 8

static const struct mapping *mapping_at(const struct picture *p, size_t i)
{
	return &p->m->mappings.slots[p->heat.slots[i]];
}

static uint64_t size_of(const struct mapping *map)
{
	return map->range.end - map->range.start;
}

/* ---- what has room ---- */

/* The widths of the strip and of what is beside it, and the size of a cell in bytes. */
struct widths {
	int name, modes, strip, holders;
	uint64_t cell;
};

/*
 * The smallest of 4K, 8K, 12K, 16K, 24K, … for which this many cells are enough: with powers of two alone, up to half
 * of a strip would be empty. Each is a multiple of the model's cells.
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

static int max_of(int a, int b)
{
	return a > b ? a : b;
}

static int min_of(int a, int b)
{
	return a < b ? a : b;
}

/* The widths that the mappings need; returns the size of the largest one. */
static uint64_t measure(const struct picture *p, struct widths *ret)
{
	uint64_t largest = 0;

	*ret = (struct widths){ .name = 12, .modes = 2 };
	for (size_t i = 0; i < p->heat.nr; i++) {
		const struct mapping *map = mapping_at(p, i);
		struct field name = {};

		label_mapping(p, map, &name);
		largest = size_of(map) > largest ? size_of(map) : largest;
		ret->name =
			max_of(ret->name, (name.text ? text_width(name.text, p->utf8) : 0) + (int)strlen(name.tail));
		ret->modes = max_of(ret->modes, 3 * __builtin_popcountll(map->modes & 15) - 1);
		ret->holders = max_of(ret->holders, (int)strlen(map->holders));
		field_free(&name);
	}
	return largest;
}

static struct widths widths_in(const struct picture *p, int width)
{
	struct widths w;
	uint64_t largest = measure(p, &w);
	int room;

	w.name = min_of(w.name, width < SCREEN_WIDE ? width / 3 : width / 4);
	w.holders = width < SCREEN_WIDE ? 0 : min_of(w.holders, width / 5);
	room = width - (1 + w.name + 1 + 6 + 1 + w.modes + 1 + 2 + (w.holders ? 1 + w.holders : 0)) - 1;
	w.cell = strip_cell(largest, (uint64_t)max_of(min_of(room, VIEW_NR_CELLS), 1));
	/* Holders follow directly after the longest strip. */
	w.strip = (int)((largest + w.cell - 1) / w.cell);
	return w;
}

/* ---- heat ---- */

static double cell_heat(const struct mapping *map, uint64_t cell, uint64_t n)
{
	uint64_t fine = UINT64_C(1) << map->cell_shift, from = n * cell / fine, to = (n + 1) * cell / fine;
	double sum = 0;

	for (uint64_t i = from; i < to && i < VIEW_NR_CELLS; i++)
		sum += (double)map->heat[i];
	return sum;
}

static double hottest_now(const struct picture *p, uint64_t cell)
{
	double most = 0, heat;

	for (size_t i = 0; i < p->heat.nr; i++) {
		const struct mapping *map = mapping_at(p, i);

		for (uint64_t n = 0; map->hot && n * cell < size_of(map); n++) {
			heat = cell_heat(map, cell, n);
			most = heat > most ? heat : most;
		}
	}
	return most;
}

static int cmp_slot(const void *a, const void *b, void *arg)
{
	const struct mappings *ms = arg;
	const struct mapping *m = &ms->slots[*(const uint32_t *)a], *n = &ms->slots[*(const uint32_t *)b];

	/* Mappings with faults are on top, but their order does not change with each fault. */
	if (!m->faults != !n->faults)
		return m->faults ? -1 : 1;
	if (m->pid != n->pid)
		return m->pid < n->pid ? -1 : 1;
	return m->range.start < n->range.start ? -1 : m->range.start > n->range.start;
}

static void gather(struct picture *p, int width)
{
	struct heat_state *h = &p->heat;
	uint64_t now_ns = p->m->now_ns;
	double now, s = now_ns > h->hottest_ns ? (double)(now_ns - h->hottest_ns) / SECOND : 0;

	h->nr = p->m->mappings.nr_by_addr;
	for (size_t i = 0; i < h->nr; i++)
		h->slots[i] = p->m->mappings.by_addr[i];
	qsort_r(h->slots, h->nr, sizeof(h->slots[0]), cmp_slot, (void *)&p->m->mappings);
	/* If shades were relative to the hottest cell now, they would not fade when faults end. */
	now = width ? hottest_now(p, widths_in(p, width).cell) : 0;
	h->hottest *= exp2(-s / HALVES_S);
	h->hottest = now > h->hottest ? now : h->hottest;
	h->hottest_ns = now_ns;
}

/* ---- the pane ---- */

static size_t nr_rows(const struct picture *p)
{
	return p->heat.nr;
}

static void add_modes(uint64_t modes, int width, struct line *l)
{
	char text[NUM_SIZE] = "";
	int len = 0;

	for (int i = 0; i < NR_KINDS; i++) {
		unsigned int bit = BY_KIND(totals_kind(i));

		if (modes >> bit & 1)
			len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%s", len ? " " : "",
					uffdctl_mode_flag(bit));
	}
	line_field(l, STYLE_PLAIN, text, width, false);
}

static void add_strip(const struct picture *p, const struct mapping *map, const struct widths *w, struct line *l)
{
	uint64_t cells = (size_of(map) + w->cell - 1) / w->cell;
	double most = p->heat.hottest > FEW_FAULTS ? p->heat.hottest : FEW_FAULTS;
	int end = l->cols + w->strip + 2;

	line_add(l, STYLE_DIM, "[");
	for (uint64_t n = 0; n < cells; n++) {
		int level = shade_of(cell_heat(map, w->cell, n), most);
		/* With block characters, the lowest one means no faults, so that the extent is visible. */
		int shown = l->utf8 && level < 2 ? level + 1 : level;

		line_add(l, !level ? STYLE_DIM : level >= 7 ? STYLE_WARN : STYLE_GOOD, text_shade(shown, l->utf8));
	}
	line_add(l, STYLE_DIM, "]");
	line_to(l, STYLE_PLAIN, end, " ");
}

static void put_row(const struct picture *p, size_t i, int width, struct line *l)
{
	const struct mapping *map = mapping_at(p, i);
	struct widths w = widths_in(p, width);
	struct field name = {};
	char size[NUM_SIZE];

	label_mapping(p, map, &name);
	line_add(l, STYLE_PLAIN, " ");
	field_draw(&name, w.name, false, l);
	field_free(&name);
	line_field(l, STYLE_PLAIN, text_bytes(size, size_of(map)), 7, true);
	line_add(l, STYLE_PLAIN, " ");
	add_modes(map->modes, w.modes, l);
	line_add(l, STYLE_PLAIN, " ");
	add_strip(p, map, &w, l);
	if (!w.holders)
		return;
	line_add(l, STYLE_PLAIN, " ");
	line_field(l, STYLE_DIM, map->holders, w.holders, false);
}

static void put_title(const struct picture *p, int width, enum style style, struct line *l)
{
	char size[NUM_SIZE];

	line_add(l, style, " where ");
	if (p->heat.nr)
		line_addf(l, STYLE_DIM, "(a cell is %s%s) ", text_bytes(size, widths_in(p, width).cell),
			  width >= SCREEN_WIDE ? "; shade: faults in the last seconds" : "");
}

static struct row_id identity(const struct picture *p, size_t i)
{
	return (struct row_id){ mapping_at(p, i)->id, 0 };
}

static bool mapping(const struct picture *p, size_t i, const struct mapping **ret)
{
	*ret = mapping_at(p, i);
	return true;
}

const struct pane pane_heat = {
	.gather = gather,
	.nr_rows = nr_rows,
	.draw_row = put_row,
	.title = put_title,
	.identity = identity,
	.mapping = mapping,
};
