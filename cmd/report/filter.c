// SPDX-License-Identifier: GPL-2.0-or-later
/* Which faults of a recording are reported. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/report/filter.h"
#include "cmd/values.h"
#include "lib/cleanup.h"

/* ---- as they were written ---- */

int filter_add_time(struct filter *f, const char *text)
{
	const char *dash = strchr(text, '-');
	_cleanup_free_ char *from = dash ? strndup(text, (size_t)(dash - text)) : NULL;

	f->has_time = true;
	f->from_ns = 0;
	f->to_ns = UINT64_MAX;
	if (!from || (*from && parse_time(from, &f->from_ns) < 0) || (dash[1] && parse_time(dash + 1, &f->to_ns) < 0))
		return -EINVAL;
	return f->from_ns < f->to_ns ? 0 : -EINVAL;
}

/* Hexadecimal, as addresses are printed. */
static bool parse_address(const char *text, const char *end, uint64_t *ret)
{
	char *stop;

	if (!strchr("0123456789abcdefABCDEF", *text) || !*text)
		return false;
	errno = 0;
	*ret = strtoull(text, &stop, 16);
	return !errno && stop == end;
}

static bool parse_addresses(const char *text, struct uffdctl_range *ret)
{
	const char *separator = text + strcspn(text, "-+"), *rest = separator + 1;
	uint64_t len;

	if (!*separator || !parse_address(text, separator, &ret->start))
		return false;
	if (*separator == '-')
		return parse_address(rest, rest + strlen(rest), &ret->end) && ret->start < ret->end;
	return uffdctl_size_parse(rest, &len) == 0 && len && !__builtin_add_overflow(ret->start, len, &ret->end);
}

int filter_add_range(struct filter *f, const char *text)
{
	struct filter_range *r = &f->ranges[f->nr_ranges];

	if (f->nr_ranges == MAX_FILTERS)
		return -ENOSPC;
	if (*text == '@')
		r->glob = text + 1;
	if (r->glob ? !*r->glob : !parse_addresses(text, &r->range))
		return -EINVAL;
	f->nr_ranges++;
	return 0;
}

int filter_add_thread(struct filter *f, const char *text)
{
	struct filter_thread *t = &f->threads[f->nr_threads];

	if (f->nr_threads == MAX_FILTERS)
		return -ENOSPC;
	if (!*text)
		return -EINVAL;
	if (parse_number(text, &t->tid) < 0)
		*t = (struct filter_thread){ .glob = text };
	else if (!t->tid)
		return -EINVAL;
	f->nr_threads++;
	return 0;
}

/* ---- faults ---- */

bool filter_is_empty(const struct filter *f)
{
	return !f->has_time && !f->nr_ranges && !f->nr_threads;
}

/* As @GLOB elsewhere: " (deleted)" need not be written. */
static bool name_matches(const char *glob, const char *name)
{
	static const char deleted[] = " (deleted)";
	size_t len = name ? strlen(name) : 0, tail = sizeof(deleted) - 1;
	char *plain;
	bool matches;

	if (!name)
		return false;
	if (fnmatch(glob, name, 0) == 0)
		return true;
	if (len < tail || strcmp(name + len - tail, deleted) != 0)
		return false;
	plain = strndup(name, len - tail);
	matches = plain && fnmatch(glob, plain, 0) == 0;
	free(plain);
	return matches;
}

static bool in_ranges(const struct filter *f, const struct uffdctl_fault *fault)
{
	for (size_t i = 0; i < f->nr_ranges; i++) {
		const struct filter_range *r = &f->ranges[i];

		if (r->glob ? name_matches(r->glob, fault->name)
			    : fault->addr >= r->range.start && fault->addr < r->range.end)
			return true;
	}
	return !f->nr_ranges;
}

static bool of_threads(const struct filter *f, const struct uffdctl_fault *fault)
{
	for (size_t i = 0; i < f->nr_threads; i++) {
		const struct filter_thread *t = &f->threads[i];

		if (t->glob ? fnmatch(t->glob, fault->comm, 0) == 0 : fault->tid == t->tid)
			return true;
	}
	return !f->nr_threads;
}

bool filter_takes(const struct filter *f, const struct uffdctl_fault *fault, uint64_t began_ns)
{
	uint64_t at = fault->start_ns > began_ns ? fault->start_ns - began_ns : 0;

	if (f->has_time && (at < f->from_ns || at >= f->to_ns))
		return false;
	return in_ranges(f, fault) && of_threads(f, fault);
}
