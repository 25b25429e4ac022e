// SPDX-License-Identifier: GPL-2.0-or-later
/* A picture of the pages of mappings as text: one line a mapping. */
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/cell.h"
#include "cmd/duration.h"
#include "cmd/pages_map.h"
#include "lib/cleanup.h"

const char *const map_forms[] = { [MAP_TEXT] = "text", [MAP_SVG] = "svg", [MAP_HTML] = "html", NULL };

/* The rest of the line: two addresses, the size of a cell, and a name. */
#define BESIDE_CELLS 52
#define RATES_WIDTH 24
#define MIN_CELLS 16
#define MAX_TEXT_CELLS 256
#define SVG_CELLS 256

size_t map_cells(enum map_form form, const struct map_style *style)
{
	struct winsize ws;
	int width;

	if (form != MAP_TEXT)
		return SVG_CELLS;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 || !ws.ws_col)
		return 64;
	width = ws.ws_col - BESIDE_CELLS - (style->rates ? RATES_WIDTH : 0);
	return width < MIN_CELLS ? MIN_CELLS : width > MAX_TEXT_CELLS ? MAX_TEXT_CELLS : (size_t)width;
}

const char *map_size(char buf[MAP_SIZE_BYTES], uint64_t bytes)
{
	struct cell c = {};
	const char *text;

	cell_size(&c, bytes);
	text = cell_string(&c, false, false);
	snprintf(buf, MAP_SIZE_BYTES, "%s", text ?: "?");
	cell_free(&c);
	return buf;
}

/* ---- one cell ---- */

/* What is said of a cell: how much of it is mapped, or, if nothing is, what most of it is. */
struct glyph {
	const char *text;
	const char *color; /* SGR */
};

static enum uffdctl_page_state most_of(const struct page_sums *s)
{
	enum uffdctl_page_state most = UFFDCTL_PAGE_ABSENT;

	/* A page that is there shows among many that are not. */
	if (s->states[UFFDCTL_PAGE_MINOR] || s->states[UFFDCTL_PAGE_SWAPPED])
		return s->states[UFFDCTL_PAGE_MINOR] >= s->states[UFFDCTL_PAGE_SWAPPED] ? UFFDCTL_PAGE_MINOR
											: UFFDCTL_PAGE_SWAPPED;
	if (s->states[UFFDCTL_PAGE_UNKNOWN])
		most = UFFDCTL_PAGE_UNKNOWN;
	return most;
}

/* 0 to max; max only if all is mapped. */
static unsigned int level_of(const struct page_sums *s, unsigned int max)
{
	uint64_t total = sums_total(s), mapped = s->states[UFFDCTL_PAGE_MAPPED];
	unsigned int level = (unsigned int)((long double)mapped * max / total);

	return level < max || mapped == total ? level : max - 1;
}

static struct glyph glyph_of(const struct page_sums *s, bool utf8)
{
	static const char *const shades[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static const char *const digits[] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" };
	static const struct glyph others[NR_PAGE_STATES] = {
		[UFFDCTL_PAGE_UNKNOWN] = { "?", "2" },
		[UFFDCTL_PAGE_MINOR] = { "m", "33" },
		[UFFDCTL_PAGE_ABSENT] = { ".", "2" },
		[UFFDCTL_PAGE_SWAPPED] = { "s", "35" },
	};

	if (s->poisoned)
		return (struct glyph){ "!", "31" };
	if (s->states[UFFDCTL_PAGE_MAPPED])
		return (struct glyph){ utf8 ? shades[level_of(s, 7)] : digits[level_of(s, 9)], "32" };
	return others[most_of(s)];
}

static void put_cells(FILE *f, const struct page_part *part, const struct map_style *style)
{
	const char *color = NULL;

	for (size_t i = 0; i < part->nr_cells; i++) {
		struct glyph g = glyph_of(&part->cells[i], style->utf8);

		if (style->color && (!color || strcmp(color, g.color)))
			fprintf(f, "\033[0;%sm", g.color);
		color = g.color;
		fputs(g.text, f);
	}
	if (style->color && color)
		fputs("\033[0m", f);
}

/* ---- lines ---- */

static void put_rates(FILE *f, const struct page_part *part)
{
	char rate[MAP_SIZE_BYTES] = "-", left[DURATION_SIZE];
	uint64_t share = sums_share(&part->sums);

	if (part->rate != UFFDCTL_UNKNOWN)
		map_size(rate, part->rate);
	fprintf(f, " %4" PRIu64 "%% %8s %8s", share, rate, duration_text(left, part->left_ns, 0));
}

static void put_line(FILE *f, const struct page_part *part, size_t width, const struct map_style *style)
{
	_cleanup_free_ char *name = NULL;
	char size[MAP_SIZE_BYTES];

	fprintf(f, "%12" PRIx64 " ", part->range.start);
	put_cells(f, part, style);
	fprintf(f, "%*s %12" PRIx64 " %5s", (int)(width - part->nr_cells), "", part->range.end,
		map_size(size, part->cell_bytes));
	if (style->rates)
		put_rates(f, part);
	if (part->name && uffdctl_escape(part->name, &name) < 0)
		name = NULL;
	fprintf(f, " %s\n", name ?: "-");
}

static void put_legend(FILE *f, const struct map_style *style)
{
	fprintf(f, "A cell is CELL bytes: %s of it is mapped. If nothing is mapped: m minor, s swapped,\n",
		style->utf8 ? "▁ little to █ all" : "0 little to 9 all");
	fputs("? unknown (something in it is), . all is absent. ! something in it is poisoned.\n", f);
}

void map_text(FILE *f, const struct page_parts *p, const struct map_style *style)
{
	size_t width = 5;

	for (size_t i = 0; i < p->nr; i++)
		width = p->parts[i].nr_cells > width ? p->parts[i].nr_cells : width;
	if (style->headings && p->nr)
		fprintf(f, "%12s %-*s %12s %5s%s %s\n", "START", (int)width, "PAGES", "END", "CELL",
			style->rates ? " SHARE     RATE     LEFT" : "", "NAME");
	for (size_t i = 0; i < p->nr; i++)
		put_line(f, &p->parts[i], width, style);
	if (style->headings && p->nr)
		put_legend(f, style);
}
