// SPDX-License-Identifier: LGPL-2.1-or-later
/* What users write for ranges, and what it comes to in a target. */
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

#include "lib/inspect/range.h"
#include "lib/log.h"
#include "lib/symbols/elf.h"
#include "lib/util.h"

/* ---- reading ---- */

static int parse_address(struct uffdctl *u, struct range_spec *spec, const char *text)
{
	uint64_t page = base_page_size(), len = 0;
	size_t sep = strcspn(text, "-+");
	struct uffdctl_range *range = &spec->range;
	const char *rest = text + sep + 1;
	int r;

	if (!text[sep])
		return fail(u, -EINVAL, "%s: not a range: write START-END, START+LEN, @GLOB, :SYMBOL or all",
			    spec->text);
	r = parse_hex(text, sep, &range->start);
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
			    "%s: is not on page bounds (%" PRIu64 "K): the pages that it touches are %" PRIx64
			    "-%" PRIx64,
			    spec->text, page / 1024, round_down(range->start, page), round_up(range->end, page));
	return 0;
}

static int parse_symbol(struct uffdctl *u, struct range_spec *spec, const char *text, const char *colon)
{
	if (!colon[1])
		return fail(u, -EINVAL, "%s: no symbol behind the colon", spec->text);
	spec->kind = RANGE_SYMBOL;
	spec->pattern = strdup(colon + 1);
	if (colon > text)
		spec->module = strndup(text, colon - text);
	return spec->pattern && (spec->module || colon == text) ? 0 : log_oom(u);
}

static int parse(struct uffdctl *u, struct range_spec *spec, const char *text)
{
	const char *colon = strrchr(text, ':');

	if (!strcmp(text, "all")) {
		spec->kind = RANGE_ALL;
		return 0;
	}
	if (text[0] == '@') {
		if (!text[1])
			return fail(u, -EINVAL, "%s: no pattern behind the @", spec->text);
		spec->kind = RANGE_GLOB;
		spec->pattern = strdup(text + 1);
		return spec->pattern ? 0 : log_oom(u);
	}
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
	int err = spec.text ? parse(r->u, &spec, text) : log_oom(r->u);

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

/* ---- resolving ---- */

void segments_free(struct segments *s)
{
	free(s->segs);
	*s = (struct segments){};
}

static int add_segment(struct segments *s, const struct uffdctl_maps *maps, size_t i, struct uffdctl_range range,
		       const struct range_spec *spec)
{
	const struct uffdctl_vma *v = &maps->vmas[i];
	struct segment *seg = vec_add(s->segs, s->nr, s->alloc);

	if (!seg)
		return -ENOMEM;
	*seg = (struct segment){
		.range = range_common(range, v->range),
		.vma = v,
		.ctx = maps->ctxs ? maps->ctxs[i] : 0,
		.spec = spec,
	};
	return 0;
}

/* The mappings on both sides of a hole, for a message. */
static int fail_hole(struct uffdctl_target *t, const struct uffdctl_maps *maps, const struct range_spec *spec,
		     uint64_t addr, size_t next)
{
	_cleanup_free_ char *before = next ? vma_describe(&maps->vmas[next - 1]) : NULL;
	_cleanup_free_ char *after = next < maps->nr ? vma_describe(&maps->vmas[next]) : NULL;

	return fail(t->u, -EFAULT, "%d: %s: nothing is mapped at %" PRIx64 "; nearest: %s%s%s", t->pid, spec->text,
		    addr, before ? before : "", before && after ? ", " : "", after ? after : "");
}

static int fail_unaligned(struct uffdctl_target *t, const struct range_spec *spec, const struct uffdctl_vma *v)
{
	struct uffdctl_range r = spec->range;
	bool mega = v->page_size >= 1 << 20;

	return fail(t->u, -EINVAL,
		    "%d: %s: is not on the bounds of %" PRIu64 "%c pages; the pages that it touches are %" PRIx64
		    "-%" PRIx64,
		    t->pid, spec->text, v->page_size >> (mega ? 20 : 10), mega ? 'M' : 'K', round_down(r.start, v->page_size),
		    round_up(r.end, v->page_size));
}

static int resolve_range(struct uffdctl_target *t, const struct uffdctl_maps *maps, const struct range_spec *spec,
			 struct uffdctl_range range, struct segments *ret)
{
	size_t nr = ret->nr, i = maps_find(maps, range.start);
	uint64_t at = range.start;
	int r = 0;

	for (; at < range.end && r >= 0; i++) {
		const struct uffdctl_vma *v = &maps->vmas[i];

		if (i == maps->nr || v->range.start > at)
			r = fail_hole(t, maps, spec, at, i);
		else if (spec->kind == RANGE_ADDRESS &&
			 (at % v->page_size || MIN(range.end, v->range.end) % v->page_size))
			r = fail_unaligned(t, spec, v);
		else
			r = add_segment(ret, maps, i, range, spec);
		at = i < maps->nr ? v->range.end : at;
	}
	if (r < 0)
		ret->nr = nr;
	return r;
}

/* The name as it is, or without the mark of an unlinked file. */
static bool glob_matches(const char *glob, const char *name)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(name), suffix = sizeof(deleted) - 1;
	_cleanup_free_ char *plain = NULL;

	if (!fnmatch(glob, name, 0))
		return true;
	if (len < suffix || strcmp(name + len - suffix, deleted))
		return false;
	plain = strndup(name, len - suffix);
	return plain && !fnmatch(glob, plain, 0);
}

static int resolve_all(const struct uffdctl_maps *maps, const struct range_spec *spec,
		       const struct range_filter *filter, struct segments *ret)
{
	int r = 0;

	for (size_t i = 0; i < maps->nr && r >= 0; i++)
		if (filter->all(&maps->vmas[i], maps->ctxs ? maps->ctxs[i] : 0, filter->arg))
			r = add_segment(ret, maps, i, maps->vmas[i].range, spec);
	return r;
}

static int resolve_glob(const struct uffdctl_maps *maps, const struct range_spec *spec, bool registered,
			struct segments *ret)
{
	int r = 0;

	for (size_t i = 0; i < maps->nr && r >= 0; i++) {
		const struct uffdctl_vma *v = &maps->vmas[i];

		if (v->name && *v->name && (v->modes || !registered) && glob_matches(spec->pattern, v->name))
			r = add_segment(ret, maps, i, v->range, spec);
	}
	return r;
}

int range_resolve(struct uffdctl_target *t, const struct uffdctl_maps *maps, const struct range_spec *spec,
		  const struct range_filter *filter, struct segments *ret)
{
	uint64_t page = base_page_size();
	struct uffdctl_range range;
	size_t nr = ret->nr;
	int r;

	switch (spec->kind) {
	case RANGE_ADDRESS:
		return resolve_range(t, maps, spec, spec->range, ret);
	case RANGE_SYMBOL:
		r = elf_find_object(t, maps->vmas, maps->nr, spec->module, spec->pattern, &range);
		if (r < 0)
			return r;
		if (range.start % page || range.end % page)
			log_notice(t->u,
				   "%d: %s is %" PRIu64 " bytes; its whole pages %" PRIx64 "-%" PRIx64
				   " are meant, with what else lies on them",
				   t->pid, spec->text, range_len(range), round_down(range.start, page),
				   round_up(range.end, page));
		range.start = round_down(range.start, page);
		range.end = round_up(range.end, page);
		return resolve_range(t, maps, spec, range, ret);
	case RANGE_GLOB:
		r = resolve_glob(maps, spec, filter->glob_registered, ret);
		if (r >= 0 && ret->nr == nr)
			r = resolve_glob(maps, spec, false, ret);
		break;
	default:
		r = resolve_all(maps, spec, filter, ret);
		break;
	}
	if (r < 0 || ret->nr > nr)
		return r;
	if (spec->kind == RANGE_GLOB)
		return fail(t->u, -ENOENT,
			    "%d: %s: no mapping has such a name; it must match whole: * stands for any rest, \\[ for a bracket (see uffdctl smaps --all %d)",
			    t->pid, spec->text, t->pid);
	return fail(t->u, -ENOENT, "%d: %s: no mapping that this can be done on%s (see uffdctl smaps --all %d)", t->pid,
		    spec->text, filter->glob_registered ? " through this userfaultfd" : "", t->pid);
}
