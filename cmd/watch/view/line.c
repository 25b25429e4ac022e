// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines of styled text that know their width. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "cmd/watch/view/line.h"
#include "lib/cleanup.h"

/* Terminals draw more combining characters than this in wrong places. */
#define MAX_COMBINING 2

void line_init(struct line *l, int max, bool utf8)
{
	l->text[0] = '\0';
	l->len = 0;
	l->cols = 0;
	l->max = max < LINE_COLS ? max : LINE_COLS;
	l->utf8 = utf8;
}

/* ---- characters ---- */

/* uffdctl_escape() leaves well-formed UTF-8; any other byte counts as one character. */
static size_t decode(const char *s, uint32_t *ret)
{
	static const uint8_t mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	unsigned char c = (unsigned char)*s;
	size_t len = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	*ret = c & mask[len];
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			*ret = c;
			return 1;
		}
		*ret = *ret << 6 | (s[i] & 0x3f);
	}
	return len;
}

/* Columns of the character at s, of *len bytes; -1: it can't be shown. */
static int char_width(const char *s, bool utf8, size_t *len)
{
	uint32_t c;

	*len = decode(s, &c);
	if (c >= 0x20 && c < 0x7f)
		return 1;
	return utf8 && *len > 1 ? wcwidth((wchar_t)c) : -1;
}

int text_width(const char *text, bool utf8)
{
	int cols = 0, w;
	size_t len;

	for (; *text; text += len) {
		w = char_width(text, utf8, &len);
		cols += w < 0 ? 1 : w;
	}
	return cols;
}

static void put(struct line *l, enum style style, const char *bytes, size_t len, int width)
{
	if (l->len + len > LINE_BYTES)
		return;
	memcpy(l->text + l->len, bytes, len);
	memset(l->styles + l->len, style, len);
	l->len += len;
	l->cols += width;
	l->text[l->len] = '\0';
}

/* Add text up to column end; returns the rest that had no room. */
static const char *add_until(struct line *l, enum style style, const char *text, int end)
{
	int marks = 0, w;
	size_t len;

	end = end < l->max ? end : l->max;
	for (; *text; text += len) {
		w = char_width(text, l->utf8, &len);
		if (w < 0)
			w = 1;
		marks = w ? 0 : marks + 1;
		if (w == 0 && (marks > MAX_COMBINING || l->cols == 0))
			continue;
		if (l->cols + w > end)
			break;
		if (char_width(text, l->utf8, &len) < 0)
			put(l, style, "?", 1, 1);
		else
			put(l, style, text, len, w);
	}
	return text;
}

void line_add(struct line *l, enum style style, const char *text)
{
	add_until(l, style, text, l->max);
}

void line_addf(struct line *l, enum style style, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		line_add(l, style, text);
}

void line_to(struct line *l, enum style style, int col, const char *fill)
{
	col = col < l->max ? col : l->max;
	while (l->cols < col)
		put(l, style, fill, strlen(fill), 1);
}

void line_field(struct line *l, enum style style, const char *text, int width, bool right)
{
	int w = text_width(text, l->utf8), end = l->cols + width;

	if (right && w < width)
		line_to(l, style, end - w, " ");
	if (w <= width) {
		add_until(l, style, text, end);
	} else {
		add_until(l, style, text, end - 1);
		/* A wide character may have left more than the mark's place. */
		line_to(l, style, end - 1, " ");
		line_add(l, style, l->utf8 ? "…" : "~");
	}
	line_to(l, style, end, " ");
}

void line_restyle(struct line *l, enum style style)
{
	memset(l->styles, style, l->len);
}

void line_bar(struct line *l, enum style style, uint64_t part, uint64_t whole, int width)
{
	static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
	uint64_t n = whole ? (uint64_t)((double)part * width * 8 / (double)whole) : 0;
	int end = l->cols + width;

	if (part && !n)
		n = 1;
	if (!l->utf8)
		n = (n + 7) / 8 * 8;
	line_to(l, style, l->cols + (int)(n / 8), l->utf8 ? "█" : "#");
	line_add(l, style, eighths[n % 8]);
	line_to(l, STYLE_PLAIN, end, " ");
}
