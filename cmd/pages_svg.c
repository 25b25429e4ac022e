// SPDX-License-Identifier: GPL-2.0-or-later
/* A picture of the pages of mappings as SVG, alone or in a page of HTML; nothing in it refers to anything outside. */
#include <inttypes.h>
#include <string.h>

#include "cmd/duration.h"
#include "cmd/pages_map.h"
#include "lib/cleanup.h"

/* Pixels. */
#define WIDTH 1088
#define LEFT 32
#define BAND_WIDTH 1024
#define BAND_HEIGHT 40
#define TOP 64
#define STEP 104 /* from band to band: title, band, axis */
#define TICKS 4

struct look {
	enum uffdctl_page_state state;
	const char *fill;
};

/* From the bottom of a cell to its top. */
static const struct look looks[] = {
	{ UFFDCTL_PAGE_MAPPED, "#2e7d4f" },  { UFFDCTL_PAGE_MINOR, "#e3a72f" },	 { UFFDCTL_PAGE_SWAPPED, "#8e5ba6" },
	{ UFFDCTL_PAGE_UNKNOWN, "#9a9a9a" }, { UFFDCTL_PAGE_ABSENT, "#eeeeee" },
};

#define NR_LOOKS (sizeof(looks) / sizeof(looks[0]))

static void put_xml(FILE *f, const char *raw)
{
	_cleanup_free_ char *text = NULL;

	if (!raw || uffdctl_escape(raw, &text) < 0) {
		fputs("?", f);
		return;
	}
	for (const char *p = text; *p; p++) {
		const char *entity = *p == '<'	 ? "&lt;"
				     : *p == '>' ? "&gt;"
				     : *p == '&' ? "&amp;"
				     : *p == '"' ? "&quot;"
						 : NULL;

		if (entity)
			fputs(entity, f);
		else
			fputc(*p, f);
	}
}

static void put_sums(FILE *f, const struct page_sums *s)
{
	char size[MAP_SIZE_BYTES];
	const char *before = " ";

	for (size_t i = 0; i < NR_LOOKS; i++) {
		if (!s->states[looks[i].state])
			continue;
		fprintf(f, "%s%s %s", before, map_size(size, s->states[looks[i].state]),
			uffdctl_page_state_name(looks[i].state));
		before = ", ";
	}
	if (s->wp)
		fprintf(f, ", %s wp", map_size(size, s->wp));
	if (s->rwp)
		fprintf(f, ", %s rwp", map_size(size, s->rwp));
	if (s->poisoned)
		fprintf(f, ", %s poisoned", map_size(size, s->poisoned));
}

/* ---- cells ---- */

static bool alike(const struct page_sums *a, const struct page_sums *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Cells from i on that are alike are one rectangle a state. */
static size_t put_cells(FILE *f, const struct page_part *part, size_t i, int y)
{
	const struct page_sums *s = &part->cells[i];
	double scale = (double)BAND_WIDTH / (double)(part->range.end - part->range.start), bottom = y + BAND_HEIGHT, x;
	uint64_t total = sums_total(s), end;
	size_t n = i + 1;

	while (n < part->nr_cells && alike(s, &part->cells[n]))
		n++;
	end = cell_range(part, n - 1).end;
	x = LEFT + (double)(cell_range(part, i).start - part->range.start) * scale;
	fprintf(f, "<g><title>%" PRIx64 "-%" PRIx64 ", a cell:", cell_range(part, i).start, end);
	put_sums(f, s);
	fputs("</title>", f);
	for (size_t k = 0; k < NR_LOOKS; k++) {
		double height = (double)s->states[looks[k].state] / (double)total * BAND_HEIGHT;

		if (!s->states[looks[k].state])
			continue;
		bottom -= height;
		fprintf(f, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>", x, bottom,
			(double)(end - cell_range(part, i).start) * scale, height, looks[k].fill);
	}
	if (s->poisoned)
		fprintf(f, "<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"4\" fill=\"#c62828\"/>", x, y - 5,
			(double)(end - cell_range(part, i).start) * scale);
	fputs("</g>\n", f);
	return n;
}

/* Addresses at the ends and between them. */
static void put_axis(FILE *f, const struct page_part *part, int y)
{
	uint64_t len = part->range.end - part->range.start;

	for (int i = 0; i <= TICKS; i++) {
		uint64_t addr = part->range.start + len / TICKS * i;
		int x = LEFT + BAND_WIDTH / TICKS * i;

		addr = i == TICKS ? part->range.end : addr / part->page_size * part->page_size;
		fprintf(f,
			"<path d=\"M%d %dv5\" stroke=\"#555\"/><text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%" PRIx64
			"</text>\n",
			x, y, x, y + 18,
			!i	     ? "start"
			: i == TICKS ? "end"
				     : "middle",
			addr);
	}
}

static void put_band(FILE *f, const struct page_part *part, int y, const struct map_style *style)
{
	char size[MAP_SIZE_BYTES], cell[MAP_SIZE_BYTES], rate[MAP_SIZE_BYTES], left[DURATION_SIZE];

	fprintf(f, "<text x=\"%d\" y=\"%d\"><tspan font-weight=\"bold\">", LEFT, y - 10);
	put_xml(f, part->name);
	fprintf(f,
		"</tspan> %s, a cell is %s, %" PRIu64 "%% mapped:", map_size(size, part->range.end - part->range.start),
		map_size(cell, part->cell_bytes), sums_share(&part->sums));
	put_sums(f, &part->sums);
	if (style->rates && part->rate != UFFDCTL_UNKNOWN)
		fprintf(f, "; %s/s, left %s", map_size(rate, part->rate), duration_text(left, part->left_ns, 0));
	fputs("</text>\n", f);
	for (size_t i = 0; i < part->nr_cells;)
		i = put_cells(f, part, i, y);
	put_axis(f, part, y + BAND_HEIGHT);
}

static void put_legend(FILE *f, const struct map_style *style)
{
	fprintf(f, "<text x=\"%d\" y=\"20\" font-size=\"15\">uffdctl pages %d (", LEFT, style->pid);
	put_xml(f, style->comm);
	fputs(")</text>\n", f);
	for (size_t i = 0; i < NR_LOOKS; i++)
		fprintf(f,
			"<rect x=\"%zu\" y=\"28\" width=\"12\" height=\"12\" fill=\"%s\" stroke=\"#999\"/><text x=\"%zu\" y=\"39\">%s</text>\n",
			LEFT + i * 96, looks[i].fill, LEFT + 18 + i * 96, uffdctl_page_state_name(looks[i].state));
	fprintf(f,
		"<rect x=\"%zu\" y=\"32\" width=\"12\" height=\"4\" fill=\"#c62828\"/><text x=\"%zu\" y=\"39\">above: poisoned</text>\n",
		LEFT + NR_LOOKS * 96, LEFT + 18 + NR_LOOKS * 96);
}

static void put_svg(FILE *f, const struct page_parts *p, const struct map_style *style)
{
	int height = TOP + (int)p->nr * STEP;

	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		WIDTH, height, WIDTH, height);
	put_legend(f, style);
	for (size_t i = 0; i < p->nr; i++)
		put_band(f, &p->parts[i], TOP + 24 + (int)i * STEP, style);
	fputs("</svg>\n", f);
}

void map_svg(FILE *f, const struct page_parts *p, const struct map_style *style)
{
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", f);
	put_svg(f, p, style);
}

/* ---- HTML ---- */

static void put_row(FILE *f, const struct page_part *part)
{
	const struct page_sums *s = &part->sums;

	fprintf(f, "<tr><td>%" PRIx64 "</td><td>%" PRIx64 "</td>", part->range.start, part->range.end);
	for (size_t i = 0; i < NR_LOOKS; i++)
		fprintf(f, "<td>%" PRIu64 "</td>", s->states[looks[i].state]);
	fprintf(f, "<td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td><td class=\"n\">", s->wp, s->rwp,
		s->poisoned);
	put_xml(f, part->name);
	fputs("</td></tr>\n", f);
}

void map_html(FILE *f, const struct page_parts *p, const struct map_style *style)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n", f);
	if (style->every_ns)
		fprintf(f, "<meta http-equiv=\"refresh\" content=\"%" PRIu64 "\">\n",
			(style->every_ns + 999999999) / 1000000000);
	fprintf(f, "<title>uffdctl pages %d</title>\n", style->pid);
	fputs("<style>body{font:14px sans-serif}svg{max-width:100%;height:auto}td,th{padding:2px 8px;text-align:right;"
	      "font-family:monospace}td.n,th.n{text-align:left}</style></head><body>\n",
	      f);
	put_svg(f, p, style);
	fputs("<table><tr><th>START</th><th>END</th>", f);
	for (size_t i = 0; i < NR_LOOKS; i++)
		fprintf(f, "<th>%s</th>", uffdctl_page_state_name(looks[i].state));
	fputs("<th>wp</th><th>rwp</th><th>poisoned</th><th class=\"n\">NAME</th></tr>\n", f);
	for (size_t i = 0; i < p->nr; i++)
		put_row(f, &p->parts[i]);
	fputs("</table></body></html>\n", f);
}
