/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pictures of the pages of mappings: as text, and as SVG and HTML. */
#ifndef CMD_PAGES_MAP_H
#define CMD_PAGES_MAP_H

#include <stdio.h>

#include "cmd/pages_sums.h"

enum map_form {
	MAP_TEXT,
	MAP_SVG,
	MAP_HTML,
};

/* Their names, for --map=FORM; ends with NULL. */
extern const char *const map_forms[];

struct map_style {
	bool utf8; /* shades instead of digits */
	bool color;
	bool headings; /* with axes and legend */
	bool rates;    /* with share, rate and the time left */
	pid_t pid;
	const char *comm;  /* escaped */
	uint64_t every_ns; /* HTML: it is written again so often; 0: once */
};

/* How many cells fit. */
size_t map_cells(enum map_form form, const struct map_style *style);

void map_text(FILE *f, const struct page_parts *p, const struct map_style *style);
void map_svg(FILE *f, const struct page_parts *p, const struct map_style *style);
void map_html(FILE *f, const struct page_parts *p, const struct map_style *style);

/* "1.5G", exact for whole numbers; as in listings */
#define MAP_SIZE_BYTES 32
const char *map_size(char buf[MAP_SIZE_BYTES], uint64_t bytes);

#endif
