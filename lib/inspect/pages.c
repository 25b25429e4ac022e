// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the pages of a target are: its page table, beside the page cache of the mapped files. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/inspect/maps_quick.h"
#include "lib/inspect/pages.h"
#include "lib/inspect/presence.h"
#include "lib/inspect/scan_wide.h"
#include "lib/inspect/segments.h"
#include "lib/inspect/unsure.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/pagescan.h"
#include "lib/log.h"
#include "lib/opts.h"
#include "lib/util.h"

/* ---- names ---- */

UFFDCTL_EXPORT const char *uffdctl_page_state_name(enum uffdctl_page_state state)
{
	static const char *const names[] = {
		[UFFDCTL_PAGE_UNKNOWN] = "unknown", [UFFDCTL_PAGE_MAPPED] = "mapped",	[UFFDCTL_PAGE_MINOR] = "minor",
		[UFFDCTL_PAGE_ABSENT] = "absent",   [UFFDCTL_PAGE_SWAPPED] = "swapped",
	};

	return (size_t)state < ARRAY_SIZE(names) ? names[state] : NULL;
}

UFFDCTL_EXPORT const char *uffdctl_page_mark_name(unsigned int bit)
{
	static const char *const names[] = { "wp", "rwp", "poisoned", [7] = "unknown" };

	return bit < ARRAY_SIZE(names) ? names[bit] : NULL;
}

/* ---- one part ---- */

/* A part of one mapping, at work. */
struct work {
	struct uffdctl_target *t;
	const struct uffdctl_pages_opts *opts;
	struct pagescan *scan;
	uint64_t known[MAX_ENTRY_RUNS + 1]; /* bytes of known state in the runs of scan before each */
	uint64_t mapped[MAX_ENTRY_RUNS + 1];
	struct uffdctl_maps *quick; /* mappings whose modes are not known; NULL: they are */
	const struct segment *seg;
	unsigned int unsure; /* what entries with ENTRY_UNSURE are; 0: not asked so far */
	struct presence presence;
	bool is_open;		     /* presence is needed only where the page table has no entry */
	struct uffdctl_page_run run; /* passed on when the next one differs; empty: none */
};

static int pass_on(struct work *w, bool is_last)
{
	w->run.is_last = is_last;
	return range_len(w->run.range) ? w->opts->run(w->opts->data, &w->run) : 0;
}

static int add(struct work *w, struct uffdctl_range range, enum uffdctl_page_state state, unsigned int marks)
{
	int r;

	if (w->run.range.end == range.start && w->run.state == state && w->run.marks == marks &&
	    range_len(w->run.range)) {
		w->run.range.end = range.end;
		return 0;
	}
	r = pass_on(w, false);
	w->run.range = range;
	w->run.state = state;
	w->run.marks = marks;
	return r;
}

/* Only the page cache knows what is there if the entry is empty or has only marks. */
static bool is_settled(unsigned int bits)
{
	return bits & (ENTRY_PRESENT | ENTRY_SWAPPED | ENTRY_UNSURE);
}

static unsigned int marks_of(unsigned int bits, const struct uffdctl_vma *v)
{
	unsigned int marks = bits & ENTRY_POISONED ? UFFDCTL_MARK_POISONED : 0;

	if (bits & ENTRY_UFFD)
		marks |= v->modes & UFFDCTL_MODE_RWP ? UFFDCTL_MARK_RWP : UFFDCTL_MARK_WP;
	return marks | (bits & ENTRY_NO_MARKS ? UFFDCTL_MARK_UNKNOWN : 0);
}

static enum uffdctl_page_state state_of(unsigned int bits, enum uffdctl_page_state otherwise)
{
	if (bits & ENTRY_PRESENT)
		return UFFDCTL_PAGE_MAPPED;
	if (bits & ENTRY_SWAPPED)
		return UFFDCTL_PAGE_SWAPPED;
	return bits & ENTRY_UNSURE ? UFFDCTL_PAGE_UNKNOWN : otherwise;
}

/* The first run that ends above an address. */
static size_t run_at(const struct pagescan *s, uint64_t addr)
{
	size_t lo = 0, hi = s->nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->runs[mid].range.end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The page cache has answered for a range: together with the runs of the page table, its pages are this. */
static int on_found(void *arg, struct uffdctl_range range, enum uffdctl_page_state state, unsigned int marks)
{
	struct work *w = arg;
	const struct pagescan *s = w->scan;
	int r = 0;

	for (size_t i = run_at(s, range.start); r >= 0 && range.start < range.end; i++) {
		struct uffdctl_range next = { range.end, range.end };
		unsigned int bits = 0;

		if (i < s->nr && s->runs[i].range.start < range.end) {
			next = range_common(s->runs[i].range, range);
			bits = s->runs[i].bits;
		}
		if (next.start > range.start)
			r = add(w, (struct uffdctl_range){ range.start, next.start }, state, marks);
		if (r >= 0 && next.end > next.start)
			r = add(w, next, state_of(bits, state),
				marks_of(bits, w->seg->vma) | (is_settled(bits) ? 0 : marks));
		range.start = next.end;
	}
	return r;
}

/* Bytes of the runs below an address, of those that sums counts. */
static uint64_t sum_below(const struct pagescan *s, const uint64_t *sums, uint64_t addr)
{
	size_t i = run_at(s, addr);

	if (i < s->nr && s->runs[i].range.start < addr && sums[i + 1] > sums[i])
		return sums[i] + (addr - s->runs[i].range.start);
	return sums[i];
}

static void on_known(void *arg, struct uffdctl_range range, uint64_t *ret_known, uint64_t *ret_cached)
{
	struct work *w = arg;

	*ret_known = *ret_cached = 0;
	if (!presence_takes_known(&w->presence))
		return;
	*ret_known = sum_below(w->scan, w->known, range.end) - sum_below(w->scan, w->known, range.start);
	*ret_cached = sum_below(w->scan, w->mapped, range.end) - sum_below(w->scan, w->mapped, range.start);
}

static void sum_runs(struct work *w)
{
	const struct pagescan *s = w->scan;

	for (size_t i = 0; i < s->nr; i++) {
		uint64_t len = range_len(s->runs[i].range);

		w->known[i + 1] = w->known[i] + (is_settled(s->runs[i].bits) ? len : 0);
		w->mapped[i + 1] = w->mapped[i] + (s->runs[i].bits & ENTRY_PRESENT ? len : 0);
	}
}

/* Before they are summed up: entries that pagemap does not explain. */
static void settle_unsure(struct work *w)
{
	struct pagescan *s = w->scan;

	for (size_t i = 0; i < s->nr; i++) {
		if (!(s->runs[i].bits & ENTRY_UNSURE))
			continue;
		w->unsure = w->unsure ?: unsure_entries(w->t, w->seg->vma, s->pagemap);
		s->runs[i].bits = (s->runs[i].bits & ~(unsigned int)ENTRY_UNSURE) | w->unsure;
	}
}

static void open_presence(struct work *w)
{
	const struct uffdctl_vma *v = w->seg->vma;
	_cleanup_free_ char *what = NULL;

	if (w->is_open)
		return;
	presence_open(w->t, v, &w->presence);
	w->is_open = true;
	if (w->presence.way != PRESENCE_UNKNOWN)
		return;
	what = vma_describe(v);
	log_at(w->t->u, v->modes || w->opts->ranges ? UFFDCTL_LOG_NOTICE : UFFDCTL_LOG_INFO,
	       "%d: %s: pages that are not in the page table are unknown: %s", w->t->pid, what, w->presence.why);
}

/* What the page table does not settle, part by part. */
static int find_rest(struct work *w, struct uffdctl_range range, const struct presence_client *c)
{
	const struct pagescan *s = w->scan;
	int r = 0;

	for (size_t i = 0; r >= 0 && range.start < range.end; i++) {
		struct uffdctl_range settled = { range.end, range.end };

		while (i < s->nr && !is_settled(s->runs[i].bits))
			i++;
		if (i < s->nr)
			settled = s->runs[i].range;
		if (settled.start > range.start)
			r = presence_find(&w->presence, (struct uffdctl_range){ range.start, settled.start }, c);
		if (r >= 0 && range_len(settled))
			r = on_found(w, settled, UFFDCTL_PAGE_UNKNOWN, 0);
		range.start = settled.end;
	}
	return r;
}

/* The entries up to here are in w->scan. */
static int find_states(struct work *w, struct uffdctl_range range)
{
	const struct presence_client c = { on_known, on_found, w };

	settle_unsure(w);
	sum_runs(w);
	if (w->known[w->scan->nr] == range_len(range))
		return on_found(w, range, UFFDCTL_PAGE_UNKNOWN, 0);
	open_presence(w);
	/* Pages that are mapped by a shared mapping are different pages of its file. */
	if (range.start == w->seg->range.start && range.end == w->seg->range.end)
		presence_note_mapped(&w->presence, w->mapped[w->scan->nr]);
	return presence_takes_known(&w->presence) ? presence_find(&w->presence, range, &c) : find_rest(w, range, &c);
}

/*
 * Whether a mark means something depends on the modes of the mapping, and finding these takes longer than all else: it
 * is done when there seems to be one.
 */
#define ASSUMED_MODES UFFDCTL_MODE_WP

static bool has_marks(const struct pagescan *s)
{
	for (size_t i = 0; i < s->nr; i++)
		if (s->runs[i].bits & (ENTRY_UFFD | ENTRY_NO_MARKS))
			return true;
	return false;
}

static int learn_modes(struct work *w)
{
	struct uffdctl_maps *maps = NULL;
	int r = maps_read(w->t, UFFDCTL_SOURCE_AUTO, MAPS_ANY_FLAGS, NULL, &maps);

	for (size_t i = 0; r >= 0 && i < w->quick->nr; i++) {
		struct uffdctl_vma *v = &w->quick->vmas[i];
		const struct uffdctl_vma *now = maps_at(maps, v->range.start);

		/* Only registered mappings were read. */
		v->modes = now ? now->modes : 0;
		if (now && (now->range.start != v->range.start || now->range.end != v->range.end))
			r = fail(w->t->u, -EAGAIN, "%d: the mappings changed while they were looked at: try again",
				 w->t->pid);
	}
	uffdctl_maps_free(maps);
	w->quick = NULL;
	return r;
}

static int fail_scan(struct work *w, int err)
{
	int r = target_check(w->t);

	return r < 0 ? r : fail(w->t->u, err, "%d: pagemap: %s", w->t->pid, strerror(-err));
}

/* The entries from a range's start on. */
static int scan_next(struct work *w, struct uffdctl_range range)
{
	int r = scan_wide(w->scan, w->seg->vma, range);

	if (r >= 0 && w->quick && has_marks(w->scan)) {
		r = learn_modes(w);
		if (r < 0)
			return r;
		r = scan_wide(w->scan, w->seg->vma, range);
	}
	return r < 0 ? fail_scan(w, r) : 0;
}

static int find_part(struct work *w, const struct segment *seg)
{
	struct uffdctl_range range = seg->range;
	int r = 0;

	w->seg = seg;
	w->is_open = false;
	w->unsure = 0;
	w->run = (struct uffdctl_page_run){ .range = { seg->range.start, seg->range.start },
					    .part = seg->range,
					    .vma = seg->vma };
	while (r >= 0 && range.start < seg->range.end) {
		r = scan_next(w, range);
		if (r < 0)
			break;
		r = find_states(w, (struct uffdctl_range){ range.start, w->scan->end });
		range.start = w->scan->end;
	}
	if (w->is_open)
		presence_close(&w->presence);
	return r < 0 ? r : pass_on(w, true);
}

/* ---- all parts ---- */

static int find_parts(struct work *w, const struct segments *segs)
{
	_cleanup_close_ int pagemap = -1;
	int r = pagemap_open(w->t, &pagemap);

	if (r < 0)
		return r == -ESRCH ? r : fail(w->t->u, r, "%d: pagemap: %s (" TEXT_PTRACE ")", w->t->pid, strerror(-r));
	pagescan_init(w->scan, pagemap);
	for (size_t i = 0; r >= 0 && i < segs->nr; i++)
		r = find_part(w, &segs->segs[i]);
	return r < 0 ? r : target_check(w->t);
}

/* @quick: the mappings of segs, if their modes are not known; otherwise NULL */
static int find_all(struct uffdctl_target *t, const struct uffdctl_pages_opts *opts, const struct segments *segs,
		    struct uffdctl_maps *quick)
{
	struct work *w = calloc(1, sizeof(*w));
	int r = -ENOMEM;

	if (w) {
		w->t = t;
		w->opts = opts;
		w->quick = quick;
		w->scan = malloc(sizeof(*w->scan));
		r = w->scan ? find_parts(w, segs) : -ENOMEM;
		free(w->scan);
		free(w);
	}
	return r == -ENOMEM ? log_oom(t->u) : r;
}

static bool is_registered(const struct uffdctl_vma *v, uint64_t owner, void *arg)
{
	(void)owner;
	(void)arg;
	return v->modes;
}

/* Ranges that can't be looked up are left out; what there is of the others is in ret all the same. */
static int resolve_ranges(struct uffdctl_target *t, const struct uffdctl_maps *maps,
			  const struct uffdctl_ranges *ranges, struct segments *ret)
{
	static const struct range_filter filter = { .all = is_registered,
						    .verb = "is registered on a userfaultfd",
						    .hint = "name one, as @GLOB or by its address" };
	int r = 0;

	for (size_t i = 0; i < ranges->nr; i++) {
		int err = range_resolve(t, maps, &ranges->specs[i], &filter, ret);

		r = err < 0 && r >= 0 ? err : r;
		if (r == -ENOMEM || r == -ESRCH || r == -EINTR)
			break;
	}
	return r;
}

static int take_all(struct uffdctl_target *t, const struct uffdctl_maps *maps, struct segments *ret)
{
	for (size_t i = 0; i < maps->nr; i++) {
		struct segment *seg = vec_add(ret->segs, ret->nr, ret->alloc);

		if (!seg)
			return log_oom(t->u);
		*seg = (struct segment){ .range = maps->vmas[i].range, .vma = &maps->vmas[i] };
	}
	return 0;
}

OPTS_CHECK(uffdctl_pages_opts, data);

/* @quick: out, the same as ret if the modes of the mappings are not known; otherwise NULL */
static int read_maps(struct uffdctl_target *t, const struct uffdctl_pages_opts *opts, struct uffdctl_maps **ret,
		     struct uffdctl_maps **quick)
{
	bool needs_all = opts->ranges || opts->flags & UFFDCTL_PAGES_ALL;
	int r = 0;

	*quick = NULL;
	if (opts->ranges && opts->source == UFFDCTL_SOURCE_AUTO)
		r = maps_quick(t, opts->ranges, quick);
	if (r < 0)
		return r;
	*ret = *quick;
	if (!*quick)
		return maps_read(t, opts->source, needs_all ? UFFDCTL_MAPS_ALL | MAPS_ANY_FLAGS : MAPS_ANY_FLAGS, NULL,
				 ret);
	for (size_t i = 0; i < (*quick)->nr; i++)
		(*quick)->vmas[i].modes = ASSUMED_MODES;
	return 0;
}

int pages_find(struct uffdctl_target *t, const struct uffdctl_pages_opts *opts, bool all_or_none)
{
	struct uffdctl_maps *maps = NULL, *quick;
	struct segments segs = {};
	int err = 0, r = read_maps(t, opts, &maps, &quick);

	if (r < 0)
		return r;
	if (opts->ranges)
		err = resolve_ranges(t, maps, opts->ranges, &segs);
	else
		r = take_all(t, maps, &segs);
	if (r >= 0 && segs.nr && !(err < 0 && all_or_none))
		r = find_all(t, opts, &segs, quick);
	segments_free(&segs);
	uffdctl_maps_free(maps);
	return r < 0 ? r : err;
}

UFFDCTL_EXPORT int uffdctl_pages(struct uffdctl_target *t, const struct uffdctl_pages_opts *opts)
{
	struct uffdctl_pages_opts o;
	int r = OPTS_GET(t->u, opts, &o);

	if (r < 0)
		return r;
	if (!o.run || o.flags & ~UFFDCTL_PAGES_ALL)
		return fail(t->u, -EINVAL, "uffdctl_pages: no function for the runs, or unknown flags: 0x%x", o.flags);
	return pages_find(t, &o, false);
}
