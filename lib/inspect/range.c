// SPDX-License-Identifier: LGPL-2.1-or-later
/* Parsing of ranges. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "lib/inspect/range.h"
#include "lib/log.h"
#include "lib/util.h"

/* What looks like a name is most likely one of a mapping. */
static int fail_form(struct uffdctl *u, const struct range_spec *spec)
{
	bool is_path = spec->text[0] == '/', is_glob = strpbrk(spec->text, "*?");
	const char *before = "", *name = "", *after = "";

	if (!strcasecmp(spec->text, "all")) {
		before = "; did you mean ";
		after = "all?";
	} else if (is_path || is_glob || isalpha((unsigned char)spec->text[0])) {
		before = is_path || is_glob ? "; did you mean '@" : "; did you mean '@*";
		name = spec->text;
		after = is_glob ? "'?" : "*'?";
	}
	return fail(u, -EINVAL,
		    "%s: not a range: write START-END, START+LEN or ADDRESS in hexadecimal, @GLOB, :SYMBOL or all%s%s%s",
		    spec->text, before, name, after);
}

/* As pending and watch print it. Fewer digits may be something else that was put in the wrong place. */
#define MIN_ADDRESS_DIGITS 5

static int parse_page(struct uffdctl *u, struct range_spec *spec, const char *text)
{
	uint64_t page = base_page_size(), addr;
	int r = parse_hex(text, strlen(text), &addr);

	if (r == -EINVAL || (strlen(text) < MIN_ADDRESS_DIGITS && strncasecmp(text, "0x", 2)))
		return fail_form(u, spec);
	if (r < 0 || addr >= UINT64_MAX - 2 * page)
		return fail(u, -EINVAL, "%s: goes beyond the end of the address space", spec->text);
	spec->kind = RANGE_PAGE;
	spec->range.start = round_down(addr, page);
	spec->range.end = spec->range.start + page;
	return 0;
}

static int parse_address(struct uffdctl *u, struct range_spec *spec, const char *text)
{
	uint64_t page = base_page_size(), len = 0;
	size_t sep = strcspn(text, "-+");
	struct uffdctl_range *range = &spec->range;
	const char *rest = text + sep + 1;
	int r;

	if (!text[sep])
		return parse_page(u, spec, text);
	r = parse_hex(text, sep, &range->start);
	if (r == -EINVAL)
		return fail_form(u, spec);
	if (r >= 0)
		r = text[sep] == '-' ? parse_hex(rest, strlen(rest), &range->end) : uffdctl_size_parse(rest, &len);
	if (r == -EINVAL)
		return fail(u, r,
			    "%s: not a range: START and END are hexadecimal, LEN is in bytes or with K, M, G, T, or 0x…",
			    spec->text);
	if (r < 0 || (text[sep] == '+' && __builtin_add_overflow(range->start, len, &range->end)))
		return fail(u, -EINVAL, "%s: goes beyond the end of the address space", spec->text);
	if (range->end == range->start)
		return fail(u, -EINVAL, "%s: is empty", spec->text);
	if (range->end < range->start)
		return fail(u, -EINVAL, "%s: ends before it starts: write %" PRIx64 "-%" PRIx64, spec->text, range->end,
			    range->start);
	if (range->end > UINT64_MAX - page)
		return fail(u, -EINVAL, "%s: goes beyond the end of the address space", spec->text);
	if (range->start % page || range->end % page)
		return fail(u, -EINVAL,
			    "%s: is not aligned to pages (%" PRIu64 "K); it touches the pages %" PRIx64 "-%" PRIx64,
			    spec->text, page / 1024, round_down(range->start, page), round_up(range->end, page));
	return 0;
}

static int parse_symbol(struct uffdctl *u, struct range_spec *spec, const char *text, const char *colon)
{
	if (!colon[1])
		return fail(u, -EINVAL, "%s: no symbol after the colon", spec->text);
	spec->kind = RANGE_SYMBOL;
	spec->pattern = strdup(colon + 1);
	if (colon > text)
		spec->module = strndup(text, colon - text);
	return spec->pattern && (spec->module || colon == text) ? 0 : log_oom(u);
}

static int parse_glob(struct uffdctl *u, struct range_spec *spec, const char *text, const char *at)
{
	if (!at[1])
		return fail(u, -EINVAL, "%s: no pattern after the @", spec->text);
	spec->nth = strtoull(text, NULL, 10);
	if (at > text && !spec->nth)
		return fail(u, -EINVAL, "%s: matches are counted from 1: 1@GLOB is the first", spec->text);
	spec->kind = RANGE_GLOB;
	spec->pattern = strdup(at + 1);
	return spec->pattern ? 0 : log_oom(u);
}

static int parse_spec(struct uffdctl *u, struct range_spec *spec, const char *text)
{
	const char *colon = strrchr(text, ':'), *at = text + strspn(text, "0123456789");

	if (!strcmp(text, "all")) {
		spec->kind = RANGE_ALL;
		return 0;
	}
	if (*at == '@')
		return parse_glob(u, spec, text, at);
	if (colon)
		return parse_symbol(u, spec, text, colon);
	spec->kind = RANGE_ADDRESS;
	return parse_address(u, spec, text);
}

static void spec_free(struct range_spec *spec)
{
	free(spec->text);
	free(spec->module);
	free(spec->pattern);
}

UFFDCTL_EXPORT int uffdctl_ranges_new(struct uffdctl *u, struct uffdctl_ranges **ret)
{
	struct uffdctl_ranges *r = calloc(1, sizeof(*r));

	if (!r)
		return log_oom(u);
	r->u = u;
	*ret = r;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_ranges_free(struct uffdctl_ranges *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->nr; i++)
		spec_free(&r->specs[i]);
	free(r->specs);
	free(r);
}

UFFDCTL_EXPORT int uffdctl_ranges_add(struct uffdctl_ranges *r, const char *text)
{
	struct range_spec spec = { .text = escaped(text) }, *added;
	int err = spec.text ? parse_spec(r->u, &spec, text) : log_oom(r->u);

	added = err < 0 ? NULL : vec_add(r->specs, r->nr, r->alloc);
	if (!added) {
		spec_free(&spec);
		return err < 0 ? err : log_oom(r->u);
	}
	*added = spec;
	return 0;
}

UFFDCTL_EXPORT size_t uffdctl_ranges_count(const struct uffdctl_ranges *r)
{
	return r->nr;
}
