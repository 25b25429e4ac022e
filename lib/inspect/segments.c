// SPDX-License-Identifier: LGPL-2.1-or-later
/* Looks up ranges in a target. */
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

#include "lib/inspect/segments.h"
#include "lib/kernel/names.h"
#include "lib/log.h"
#include "lib/symbols/elf.h"
#include "lib/util.h"

/* One range, and the mappings in which it is looked up. */
struct search {
	struct uffdctl_target *t;
	const struct uffdctl_maps *maps;
	const struct range_spec *spec;
	const struct range_filter *filter;
};

void segments_free(struct segments *s)
{
	free(s->segs);
	*s = (struct segments){};
}

static int add_segment(const struct search *s, size_t i, struct uffdctl_range range, struct segments *ret)
{
	const struct uffdctl_vma *v = &s->maps->vmas[i];
	struct segment *seg = vec_add(ret->segs, ret->nr, ret->alloc);

	if (!seg)
		return log_oom(s->t->u);
	*seg = (struct segment){
		.range = range_common(range, v->range),
		.vma = v,
		.owner = maps_owner(s->maps, i),
		.spec = s->spec,
	};
	return 0;
}

/* The mappings before and after a hole, for a message. */
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
		    "%d: %s: is not aligned to its pages of %" PRIu64 "%c; it touches the pages %" PRIx64 "-%" PRIx64,
		    t->pid, spec->text, v->page_size >> (mega ? 20 : 10), mega ? 'M' : 'K',
		    round_down(r.start, v->page_size), round_up(r.end, v->page_size));
}

/* ---- addresses ---- */

/* All of a range must be mapped; otherwise ret is unchanged. */
static int add_addresses(const struct search *s, struct uffdctl_range range, struct segments *ret)
{
	const struct uffdctl_maps *maps = s->maps;
	size_t nr = ret->nr, i = maps_find(maps, range.start);
	uint64_t at = range.start;
	int r = 0;

	for (; at < range.end && r >= 0; i++) {
		const struct uffdctl_vma *v = &maps->vmas[i];

		if (i == maps->nr || v->range.start > at)
			r = fail_hole(s->t, maps, s->spec, at, i);
		else if (s->spec->kind == RANGE_ADDRESS &&
			 (at % v->page_size || MIN(range.end, v->range.end) % v->page_size))
			r = fail_unaligned(s->t, s->spec, v);
		else
			r = add_segment(s, i, range, ret);
		at = i < maps->nr ? v->range.end : at;
	}
	if (r < 0)
		ret->nr = nr;
	return r;
}

struct uffdctl_range range_addresses(const struct uffdctl_maps *maps, const struct range_spec *spec)
{
	const struct uffdctl_vma *v = spec->kind == RANGE_PAGE ? maps_at(maps, spec->range.start) : NULL;
	uint64_t start;

	if (!v)
		return spec->range;
	start = round_down(spec->range.start, v->page_size);
	return (struct uffdctl_range){ start, start + v->page_size };
}

static int resolve_address(const struct search *s, struct segments *ret)
{
	return add_addresses(s, range_addresses(s->maps, s->spec), ret);
}

/* ---- symbols ---- */

static int resolve_symbol(const struct search *s, struct segments *ret)
{
	uint64_t page = base_page_size();
	struct uffdctl_range range, whole;
	int r = elf_find_object(s->t, s->maps->vmas, s->maps->nr, s->spec->module, s->spec->pattern, &range);

	if (r < 0)
		return r;
	whole = (struct uffdctl_range){ round_down(range.start, page), round_up(range.end, page) };
	if (range.start % page || range.end % page)
		log_notice(s->t->u,
			   "%d: %s is %" PRIu64 " bytes; the range is its whole pages %" PRIx64 "-%" PRIx64
			   ", with other data on them",
			   s->t->pid, s->spec->text, range_len(range), whole.start, whole.end);
	return add_addresses(s, whole, ret);
}

/* ---- names ---- */

/* Match the name as it is, or without " (deleted)". */
static bool glob_matches(const char *glob, const char *name)
{
	_cleanup_free_ char *plain = NULL;

	if (!fnmatch(glob, name, 0))
		return true;
	plain = strndup(name, vma_name_len(name));
	return plain && !fnmatch(glob, plain, 0);
}

/* The kernel splits a mapping where a part of it is registered or protected differently. */
static bool is_continued(const struct uffdctl_vma *v, const struct uffdctl_vma *next)
{
	return v && next->range.start == v->range.end && vma_same_file(v, next) &&
	       (!v->inode || next->offset == vma_offset(v, v->range.end));
}

/* Returns the number of mappings that match, or a negative errno. */
static ssize_t add_matches(const struct search *s, bool registered, struct segments *ret)
{
	const struct uffdctl_vma *last = NULL;
	size_t nr = 0;
	int r = 0;

	for (size_t i = 0; i < s->maps->nr && r >= 0; i++) {
		const struct uffdctl_vma *v = &s->maps->vmas[i];

		bool is_wanted = v->modes || !registered;

		/* To find the n-th, count those that are not wanted too. */
		if ((!is_wanted && !s->spec->nth) || !v->name || !*v->name || !glob_matches(s->spec->pattern, v->name))
			continue;
		nr += !is_continued(last, v);
		last = v;
		if (is_wanted && (!s->spec->nth || nr == s->spec->nth))
			r = add_segment(s, i, v->range, ret);
	}
	return r < 0 ? r : (ssize_t)nr;
}

/* Such as uffdctl_vma_label() makes for a mapping without a name. Others may be named [anon:NAME]. */
static bool is_label(const char *pattern)
{
	const char *addr = strstr(pattern, "[anon:");

	addr = addr ? addr + strlen("[anon:") : "";
	return *addr && strspn(addr, "0123456789abcdef") == strcspn(addr, "\\]");
}

/* The pattern may be a part of a name. */
static int fail_name(const struct search *s)
{
	_cleanup_free_ char *part = NULL, *name = NULL, *meant = NULL;

	if (is_label(s->spec->pattern))
		return fail(s->t->u, -ENOENT,
			    "%d: %s: [anon:ADDRESS] is shown for a mapping without a name: write ADDRESS as the range, or a part such as ADDRESS+4K",
			    s->t->pid, s->spec->text);
	if (asprintf(&part, "*%s*", s->spec->pattern) < 0)
		return log_oom(s->t->u);
	for (size_t i = 0; i < s->maps->nr && !meant; i++) {
		const struct uffdctl_vma *v = &s->maps->vmas[i];

		if (!v->name || fnmatch(part, v->name, 0))
			continue;
		name = escaped(v->name);
		if (!name || asprintf(&meant, ": '@*%s*' matches %s", strchr(s->spec->text, '@') + 1, name) < 0)
			return log_oom(s->t->u);
	}
	return fail(s->t->u, -ENOENT,
		    "%d: %s: no mapping has such a name; the pattern must match the whole name%s (see uffdctl smaps --all %d)",
		    s->t->pid, s->spec->text, meant ?: ": use * for the rest, \\[ for a bracket", s->t->pid);
}

static int resolve_glob(const struct search *s, struct segments *ret)
{
	size_t before = ret->nr;
	ssize_t nr = add_matches(s, s->filter->glob_registered, ret);

	if (nr >= 0 && ret->nr == before)
		nr = add_matches(s, false, ret);
	if (nr < 0 || ret->nr > before)
		return nr < 0 ? (int)nr : 0;
	if (nr)
		return fail(s->t->u, -ENOENT, "%d: %s: only %zd mapping%s such a name (see uffdctl smaps --all %d)",
			    s->t->pid, s->spec->text, nr, nr == 1 ? " has" : "s have", s->t->pid);
	return fail_name(s);
}

/* ---- all ---- */

static int fail_all(const struct search *s)
{
	char modes[MODES_TEXT_SIZE];

	return fail(s->t->u, -ENOENT, "%d: %s: no mapping %s%s%s%s%s (see uffdctl smaps --all %d)", s->t->pid,
		    s->spec->text, s->filter->verb, s->filter->modes ? " for " : "",
		    modes_text(s->filter->modes, modes), s->filter->hint ? ": " : "", s->filter->hint ?: "", s->t->pid);
}

static int resolve_all(const struct search *s, struct segments *ret)
{
	size_t nr = ret->nr;
	int r = 0;

	for (size_t i = 0; i < s->maps->nr && r >= 0; i++)
		if (s->filter->all(&s->maps->vmas[i], maps_owner(s->maps, i), s->filter->arg))
			r = add_segment(s, i, s->maps->vmas[i].range, ret);
	if (r < 0 || ret->nr > nr)
		return r;
	return fail_all(s);
}

/* ---- any ---- */

int range_resolve(struct uffdctl_target *t, const struct uffdctl_maps *maps, const struct range_spec *spec,
		  const struct range_filter *filter, struct segments *ret)
{
	static int (*const resolvers[])(const struct search *s, struct segments *ret) = {
		[RANGE_ADDRESS] = resolve_address, [RANGE_PAGE] = resolve_address, [RANGE_GLOB] = resolve_glob,
		[RANGE_SYMBOL] = resolve_symbol,   [RANGE_ALL] = resolve_all,
	};
	struct search s = { t, maps, spec, filter };
	int r;

	r = resolvers[spec->kind](&s, ret);
	return r == -ENOMEM ? log_oom(t->u) : r;
}
