// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: what is served, checked before it begins. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/drive/fill.h"
#include "lib/drive/fill_choose.h"
#include "lib/drive/serve_image.h"
#include "lib/drive/serve_memory.h"
#include "lib/drive/serve_plan.h"
#include "lib/drive/serve_store.h"
#include "lib/inspect/alias.h"
#include "lib/kernel/pagemap.h"
#include "lib/log.h"

#define EVENTS_OF_MAPPINGS (UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP)
#define EVENTS (EVENTS_OF_MAPPINGS | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP)

static int objection(const struct uffdctl_serve *s, const struct segment *seg, const char *text, int err)
{
	return fail(s->h->t->u, err, "%d: %" PRIx64 "-%" PRIx64 ": %s", s->h->t->pid, seg->range.start, seg->range.end,
		    text);
}

/* ---- the ranges ---- */

static int by_address(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return x->range.start < y->range.start ? -1 : x->range.start > y->range.start;
}

static int refuse_overlap(const struct uffdctl_serve *s, const struct segment *seg, const struct segment *before)
{
	return fail(s->h->t->u, -EINVAL,
		    "%d: %" PRIx64 "-%" PRIx64 ": the ranges %s and %s overlap there: name each page once",
		    s->h->t->pid, seg->range.start, MIN(seg->range.end, before->range.end), before->spec->text,
		    seg->spec->text);
}

static int check_segment(struct uffdctl_serve *s, const struct segment *seg, const struct segment *before)
{
	_cleanup_free_ char *text = NULL;

	switch (handle_owner(s->h, seg->vma, seg->owner)) {
	case OWNER_NONE:
		return objection(s, seg, "not registered on a userfaultfd (see uffdctl register)", -ENOENT);
	case OWNER_OTHER:
		text = handle_other_owner(s->h, seg->owner);
		return objection(s, seg, text ?: "registered on another userfaultfd", -EBUSY);
	case OWNER_US:
		break;
	}
	return before && before->range.end > seg->range.start ? refuse_overlap(s, seg, before) : 0;
}

/* Threads that fault there would be left waiting, since only one can read the messages. */
static int warn_unserved(struct uffdctl_serve *s)
{
	const struct uffdctl_maps *maps = s->plan.maps;
	_cleanup_free_ uint64_t *served = calloc(maps->nr + 1, sizeof(*served));

	if (!served)
		return log_oom(s->h->t->u);
	for (size_t i = 0; i < s->plan.segs.nr; i++)
		served[s->plan.segs.segs[i].vma - maps->vmas] += range_len(s->plan.segs.segs[i].range);
	for (size_t i = 0; i < maps->nr; i++) {
		const struct uffdctl_vma *v = &maps->vmas[i];

		if (served[i] < range_len(v->range) && handle_owner(s->h, v, maps_owner(maps, i)) == OWNER_US)
			log_warning(s->h->t->u,
				    "%d: %" PRIx64 "-%" PRIx64
				    " is registered on this userfaultfd and not served, at least in part: threads that fault there will wait",
				    s->h->t->pid, v->range.start, v->range.end);
	}
	return 0;
}

int serve_plan_ranges(struct uffdctl_serve *s, const struct uffdctl_ranges *ranges, struct plan *plan)
{
	static const struct resolve_op any = {
		.mode = UFFDCTL_MODE_MISSING | UFFDCTL_MODE_MINOR | UFFDCTL_MODE_WP | UFFDCTL_MODE_RWP,
	};
	struct job job = { .h = s->h, .opts = &s->plain, .op = &any, .recheck = { .lock = PTHREAD_MUTEX_INITIALIZER } };
	struct segments *segs = &plan->segs;
	bool failed = false;
	int r = plan_make(&job, ranges, plan, &failed);

	if (r >= 0 && failed)
		r = -ENOENT;
	/* Contents are used in the order of the ranges: the parts keep their offsets when they are sorted. */
	for (size_t i = 0; r >= 0 && i < segs->nr; i++)
		r = check_segment(s, &segs->segs[i], NULL);
	return r;
}

/* ---- what can't be served ---- */

static int refuse_two_images(const struct uffdctl_serve *s, const struct segment *a, const struct segment *b)
{
	return fail(s->h->t->u, -EINVAL,
		    "%d: %" PRIx64 "-%" PRIx64 " and %" PRIx64 "-%" PRIx64
		    " show the same pages of a file, and the ranges %s and %s have different sources: give both the same",
		    s->h->t->pid, a->range.start, a->range.end, b->range.start, b->range.end, a->spec->text,
		    b->spec->text);
}

struct sharing {
	struct uffdctl_serve *s;
	const struct serve_memory *m;
	const struct serve_part *p;
};

static int check_two(const struct sharing *sh, const struct serve_part *q)
{
	const struct serve_part *p = sh->p;

	if (p->image != q->image)
		return refuse_two_images(sh->s, &p->part->seg, &q->part->seg);
	if (vma_is_shared(&p->vma) && vma_is_shared(&q->vma))
		return 0;
	return objection(
		sh->s, &p->part->seg,
		"a private mapping of pages that another one of the ranges has, too: it is not certain who is to be filled",
		-EOPNOTSUPP);
}

/* The parts that show the same pages as sh->p, at these addresses. */
static int check_alias(const struct uffdctl_vma *other, struct uffdctl_range r, void *arg)
{
	const struct sharing *sh = arg;
	int err = 0;

	(void)other;
	for (size_t i = memory_next(sh->m, r.start);
	     err >= 0 && i < sh->m->nr && sh->m->parts[i]->part->seg.range.start < r.end; i++)
		err = check_two(sh, sh->m->parts[i]);
	return err;
}

static int check_shared_pages(struct uffdctl_serve *s, const struct serve_memory *m)
{
	struct sharing sh = { s, m, NULL };
	struct alias_index idx;
	int r = 0;

	if (alias_build(s->plan.maps, &idx) < 0)
		return log_oom(s->h->t->u);
	for (size_t i = 0; r >= 0 && i < m->nr; i++) {
		const struct segment *seg = &m->parts[i]->part->seg;

		sh.p = m->parts[i];
		if (sh.p->vma.inode)
			r = alias_visit(&idx, maps_at(s->plan.maps, seg->range.start), seg->range, check_alias, &sh);
	}
	alias_free(&idx);
	return r;
}

static int check_events(struct uffdctl_serve *s, const struct serve_part *p)
{
	uint64_t has = s->h->features, modes = p->vma.modes;

	if (s->fills && modes & UFFDCTL_MODE_MINOR && has & EVENTS_OF_MAPPINGS)
		return objection(
			s, &p->part->seg,
			"the userfaultfd has event_fork or event_remap, and with these no minor faults can be filled: use --keep, or have it registered for missing",
			-EOPNOTSUPP);
	if (has & UFFD_FEATURE_EVENT_FORK &&
	    ((modes & UFFDCTL_MODE_MINOR && modes & UFFDCTL_MODE_WP) || modes & UFFDCTL_MODE_RWP))
		return objection(
			s, &p->part->seg,
			"the userfaultfd has event_fork, and in a child it can't be seen which pages carry marks of this range",
			-EOPNOTSUPP);
	return 0;
}

static int check_parts(struct uffdctl_serve *s, const struct serve_memory *m)
{
	int r = 0;

	if (m->has_events && !m->messages.nonblock)
		return fail(s->h->t->u, -EOPNOTSUPP,
			    "%d: fd %d has events and was made without O_NONBLOCK: its events can't be waited for without taking them",
			    s->h->pid, s->h->fd);
	for (size_t i = 0; r >= 0 && i < m->nr; i++)
		r = check_events(s, m->parts[i]);
	return r >= 0 && s->fills ? check_shared_pages(s, m) : r;
}

/* ---- states ---- */

static struct serve_store *find_store(struct uffdctl_serve *s, const struct uffdctl_vma *v)
{
	for (struct serve_store *st = s->stores; st; st = st->next)
		if (st->vma && vma_same_file(st->vma, v))
			return st;
	return NULL;
}

/* From the first to the last page of the file that any part has. */
static struct serve_store *file_store(struct uffdctl_serve *s, const struct serve_memory *m, const struct serve_part *p)
{
	struct serve_store *st = find_store(s, &p->vma);
	uint64_t first = UINT64_MAX, end = 0;

	for (size_t i = 0; !st && i < m->nr; i++) {
		const struct part *q = m->parts[i]->part;

		if (!vma_same_file(q->seg.vma, &p->vma))
			continue;
		first = MIN(first, part_offset(q, q->seg.range.start));
		end = MAX(end, part_offset(q, q->seg.range.end));
	}
	return st ?: store_new(s, &p->vma, first, end, p->vma.page_size);
}

static int add_stores(struct uffdctl_serve *s, const struct serve_memory *m)
{
	for (size_t i = 0; s->fills && i < m->nr; i++) {
		struct serve_part *p = m->parts[i];
		struct uffdctl_range r = p->part->seg.range;

		p->store = p->vma.inode ? file_store(s, m, p)
					: store_new(s, NULL, vma_offset(&p->vma, r.start), vma_offset(&p->vma, r.end),
						    p->vma.page_size);
		if (!p->store)
			return log_oom(s->h->t->u);
	}
	return 0;
}

static int add_filling(struct uffdctl_serve *s, struct serve_memory *m)
{
	struct job *job = &m->jobs[SERVE_FILL];
	bool minor = false;
	int r;

	for (size_t i = 0; i < m->nr; i++)
		minor |= m->parts[i]->vma.modes & UFFDCTL_MODE_MINOR;
	if (!s->fills || !minor)
		return 0;
	r = fill_prepare(job, s->plan.maps, &s->plan.segs);
	s->filling = job->op_data;
	if (r < 0)
		return r;
	/* The states say which pages of a file are filled, whichever mapping shows them. */
	s->filling->several = false;
	job->nr_parts = s->plan.segs.nr;
	for (size_t i = 0; r >= 0 && i < s->plan.segs.nr; i++) {
		struct part *p = &m->first_parts[i];

		const struct uffdctl_vma *own = p->seg.vma;

		if (!(own->modes & UFFDCTL_MODE_MINOR))
			continue;
		p->seg.vma = s->plan.segs.segs[i].vma;
		r = fill_add_part(job, p);
		p->seg.vma = own;
		p->second_round = false;
	}
	return r;
}

/* ---- contents that end too early ---- */

/* The length of a device is not known; that of all else was compared. */
static bool may_end(const struct serve_image *image)
{
	const struct contents *c = image ? &image->contents : NULL;

	return c && c->fd >= 0 && !c->size;
}

/* Threads that fault there would be left waiting, one by one. */
static void warn_without_contents(const struct uffdctl_serve *s, const struct serve_part *p)
{
	struct uffdctl_range r = p->part->seg.range;
	uint64_t done;
	char byte;
	int err = contents_read(&p->image->contents, p->part->from + range_len(r) - 1, &byte, 1, &done);

	if (err < 0)
		log_warning(s->h->t->u,
			    "%d: %" PRIx64 "-%" PRIx64
			    ": the source does not have the contents of all of this range: %s: threads that fault there will wait: give an image that has them, for this range alone with --map %" PRIx64
			    "-%" PRIx64 "=FILE, or --zero if zeros are right",
			    s->h->t->pid, r.start, r.end, err == -ENODATA ? "it ends before" : strerror(-err), r.start,
			    r.end);
}

/* ---- all ---- */

static int add_parts(struct uffdctl_serve *s, struct serve_memory *m, const uint64_t *froms)
{
	const struct segments *segs = &s->plan.segs;

	m->first_parts = calloc(segs->nr + 1, sizeof(*m->first_parts));
	if (!m->first_parts)
		return log_oom(s->h->t->u);
	for (size_t i = 0; i < SERVE_NR_OPS; i++)
		m->jobs[i].parts = m->first_parts;
	for (size_t i = 0; i < segs->nr; i++) {
		struct part *p = &m->first_parts[i];
		struct serve_part *added;

		*p = (struct part){ .seg = segs->segs[i], .from = froms[i] };
		added = memory_add(m, p);
		if (!added)
			return log_oom(s->h->t->u);
		added->image = s->fills ? image_of(s, &p->seg) : NULL;
		s->total_bytes += range_len(p->seg.range);
	}
	memory_sort(m);
	return 0;
}

static int check_order(struct uffdctl_serve *s)
{
	size_t nr = s->plan.segs.nr;
	_cleanup_free_ struct segment *sorted = calloc(nr + 1, sizeof(*sorted));
	int r = 0;

	if (!sorted)
		return log_oom(s->h->t->u);
	if (nr)
		memcpy(sorted, s->plan.segs.segs, nr * sizeof(*sorted));
	qsort(sorted, nr, sizeof(*sorted), by_address);
	for (size_t i = 1; r >= 0 && i < nr; i++)
		r = check_segment(s, &sorted[i], &sorted[i - 1]);
	return r;
}

/* @froms: out, where the contents of each segment are; free with free() */
static int find_segments(struct uffdctl_serve *s, uint64_t **froms)
{
	int r = serve_plan_ranges(s, &s->ranges, &s->plan);

	if (r >= 0 && !s->plan.segs.nr)
		r = fail(s->h->t->u, -ENOENT, "%d: nothing is registered there: nothing to serve", s->h->t->pid);
	if (r >= 0)
		r = images_place(s, &s->plan, froms);
	return r < 0 ? r : check_order(s);
}

static int open_images(struct uffdctl_serve *s, bool *piped)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && s->fills && i < s->nr_images; i++)
		if (s->images[i].source) {
			r = image_open(s, &s->images[i]);
			*piped |= s->images[i].contents.ours;
		}
	return r;
}

/* Reading a pipe may have taken hours: look up everything again. */
static int open_source(struct uffdctl_serve *s)
{
	struct job job = { .h = s->h, .recheck = { .lock = PTHREAD_MUTEX_INITIALIZER } };
	_cleanup_free_ uint64_t *froms = NULL;
	struct plan old = s->plan;
	bool piped = false;
	int r = open_images(s, &piped);

	if (r < 0 || !piped)
		return r;
	s->plan = (struct plan){};
	r = find_segments(s, &froms);
	if (r >= 0 && (s->plan.segs.nr != old.segs.nr || !plan_is_same(&job, &old, &s->plan)))
		r = fail(s->h->t->u, -ENOENT,
			 "%d: the mappings of these ranges changed while the contents were read: nothing was done (see uffdctl smaps)",
			 s->h->t->pid);
	plan_free(&old);
	return r;
}

static int open_pagemap(struct uffdctl_serve *s)
{
	bool needed = s->fills;
	int r = pagemap_open(s->h->t, &s->pagemap);

	for (size_t i = 0; i < s->plan.segs.nr; i++)
		needed |= s->plan.segs.segs[i].vma->modes & (UFFDCTL_MODE_WP | UFFDCTL_MODE_RWP);
	if (r < 0 && r != -ESRCH && needed)
		return fail(s->h->t->u, r,
			    "%d: /proc/%d/pagemap: %s (needs CAP_DAC_READ_SEARCH for another user's process)",
			    s->h->t->pid, s->h->t->pid, strerror(-r));
	return r == -ESRCH ? r : 0;
}

static int make_memory(struct uffdctl_serve *s, const uint64_t *froms)
{
	int r = memory_new(s, -1, &s->memories);
	struct serve_memory *m = s->memories;

	if (r < 0)
		return r;
	m->has_events = s->h->features & EVENTS;
	/* A process with events has a userfaultfd of its own, on which it may register more. */
	s->serves_grown = s->opts.register_modes && !m->has_events;
	r = add_parts(s, m, froms);
	if (r >= 0)
		r = check_parts(s, m);
	if (r >= 0)
		r = add_stores(s, m);
	return r < 0 ? r : add_filling(s, m);
}

int serve_plan(struct uffdctl_serve *s)
{
	_cleanup_free_ uint64_t *froms = NULL;
	int r = find_segments(s, &froms);

	if (r >= 0)
		r = open_source(s);
	if (r >= 0)
		r = open_pagemap(s);
	if (r >= 0)
		r = make_memory(s, froms);
	for (size_t i = 0; r >= 0 && i < s->memories->nr; i++)
		if (may_end(s->memories->parts[i]->image))
			warn_without_contents(s, s->memories->parts[i]);
	if (r >= 0)
		r = warn_unserved(s);
	if (r >= 0 && s->h->features & UFFD_FEATURE_SIGBUS)
		log_warning(s->h->t->u,
			    "%d: fd %d has the feature sigbus: a thread that faults gets SIGBUS, and no message comes",
			    s->h->pid, s->h->fd);
	return r;
}

/* ---- what is there ---- */

/* Pages that several parts show are counted once. */
static void count_pages(struct uffdctl_serve *s, const struct serve_part *p)
{
	struct uffdctl_range r = p->part->seg.range;

	for (; r.start < r.end; r.start += p->vma.page_size) {
		uint8_t *state = part_state(p, r.start);

		if (*state & SERVE_COUNTED)
			continue;
		s->total_bytes += p->vma.page_size;
		/* As the file of --state says. */
		s->already_bytes += *state == SERVE_DONE || *state == SERVE_REMOVED ? p->vma.page_size : 0;
		*state |= SERVE_COUNTED;
	}
}

static void note_present(struct uffdctl_serve *s, const struct serve_part *p, struct uffdctl_range r,
			 const uint8_t *states)
{
	for (; r.start < r.end; r.start += p->vma.page_size, states++) {
		uint8_t *state = part_state(p, r.start);

		/* If it may be a mark alone, there may be no page. */
		if (!(*states & PTE_MAPPED) || *states & PTE_UNSURE)
			continue;
		s->already_bytes += (*state & ~SERVE_COUNTED) == SERVE_NEW ? p->vma.page_size : 0;
		*state = SERVE_DONE | SERVE_COUNTED;
	}
}

static int scan_part(struct uffdctl_serve *s, const struct serve_part *p)
{
	struct uffdctl_range at = p->part->seg.range, whole = at;
	uint8_t states[512];
	int r = 0;

	for (; r >= 0 && at.start < whole.end; at.start = at.end) {
		at.end = MIN(at.start + sizeof(states) * p->vma.page_size, whole.end);
		r = pagemap_read(s->pagemap, &p->vma, at, states);
		if (r >= 0)
			note_present(s, p, at, states);
	}
	return r < 0 ? fail(s->h->t->u, r, "%d: /proc/%d/pagemap: %s", s->h->t->pid, s->h->t->pid, strerror(-r)) : 0;
}

int serve_plan_scan(struct uffdctl_serve *s)
{
	const struct serve_memory *m = s->memories;
	int r = 0;

	if (!s->stores)
		return 0;
	s->total_bytes = 0;
	for (size_t i = 0; r >= 0 && i < m->nr; i++) {
		count_pages(s, m->parts[i]);
		r = scan_part(s, m->parts[i]);
	}
	for (struct serve_store *st = s->stores; st; st = st->next)
		for (uint64_t i = 0; i < st->nr; i++)
			st->states[i] &= ~SERVE_COUNTED;
	return r;
}
