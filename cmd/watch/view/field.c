// SPDX-License-Identifier: GPL-2.0-or-later
/* The text in one column of a row. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch/view/field.h"
#include "lib/cleanup.h"
#include "lib/uffdctl.h"

/* ---- what it is ---- */

void field_count(struct field *f, uint64_t n)
{
	f->type = FIELD_COUNT;
	f->number = n;
	f->style = n ? STYLE_PLAIN : STYLE_DIM;
}

void field_wait(struct field *f, uint64_t ns)
{
	field_count(f, ns);
	f->type = FIELD_WAIT;
}

void field_bound(struct field *f, uint64_t ns)
{
	field_count(f, ns);
	f->type = FIELD_BOUND;
}

void field_longest(struct field *f, uint64_t ns)
{
	field_count(f, ns);
	f->type = FIELD_LONGEST;
}

void field_text(struct field *f, char *text)
{
	f->type = FIELD_TEXT;
	f->text = text;
}

void field_word(struct field *f, const char *text)
{
	field_text(f, strdup(text ?: "-"));
}

void field_name(struct field *f, const char *raw)
{
	char *text;

	field_text(f, uffdctl_escape(raw, &text) == 0 ? text : NULL);
}

void field_format(struct field *f, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	field_text(f, vasprintf(&text, fmt, ap) < 0 ? NULL : text);
	va_end(ap);
}

void field_pid_and_name(struct field *f, pid_t pid, const char *raw)
{
	_cleanup_free_ char *name = NULL;

	if (!pid)
		field_word(f, "-");
	else if (uffdctl_escape(raw, &name) == 0)
		field_format(f, "%d %s", pid, name);
	else
		field_text(f, NULL);
}

static void set_tail(struct field *f, const char *before, uint64_t n)
{
	snprintf(f->tail, sizeof(f->tail), "%s%" PRIx64, before, n);
}

void field_where(struct field *f, const char *raw, uint64_t offset, uint64_t addr)
{
	_cleanup_free_ char *name = raw && *raw ? text_name(raw) : NULL;
	const char *base;

	if (addr == UFFDCTL_UNKNOWN) {
		field_word(f, "-");
	} else if (!name) {
		field_word(f, "");
		set_tail(f, "", addr);
	} else if (offset == UFFDCTL_UNKNOWN) {
		field_word(f, name);
		set_tail(f, " ", addr);
	} else {
		base = *name == '/' ? strrchr(name, '/') + 1 : name;
		field_word(f, strncmp(base, "memfd:", 6) ? base : base + 6);
		set_tail(f, "+0x", offset);
	}
}

void field_free(struct field *f)
{
	free(f->text);
}

/* ---- how it is drawn ---- */

static void draw_text(const struct field *f, int width, bool right, struct line *l)
{
	const char *text = f->text ?: "?";
	int end = l->cols + width, room = width - (int)strlen(f->tail), wide = text_width(text, l->utf8);

	if (!*f->tail) {
		line_field(l, f->style, text, width, right);
		return;
	}
	if (wide && room > 0)
		line_field(l, f->style, text, wide < room ? wide : room, false);
	line_field(l, f->style, f->tail, wide && room > 0 ? (int)strlen(f->tail) : width, false);
	line_to(l, f->style, end, " ");
}

void field_draw(const struct field *f, int width, bool right, struct line *l)
{
	static const char *(*const texts[])(char *buf, uint64_t ns, bool utf8) = {
		[FIELD_WAIT] = text_wait, [FIELD_BOUND] = text_bound, [FIELD_LONGEST] = text_longest
	};
	char num[NUM_SIZE];

	if (f->type == FIELD_TEXT)
		draw_text(f, width, right, l);
	else if (f->type != FIELD_COUNT)
		line_field(l, f->style, texts[f->type](num, f->number, l->utf8), width, right);
	else
		line_field(l, f->style, text_count(num, f->number, width), width, right);
}
