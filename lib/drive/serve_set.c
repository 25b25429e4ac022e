// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: working sets: what is touched is recorded, and what was touched another time is known. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/drive/serve_image.h"
#include "lib/drive/serve_set.h"
#include "lib/drive/serve_store.h"
#include "lib/log.h"

/* ---- bits ---- */

/* Change the bits of a page. True: one of them was another one. */
static bool change_bits(uint8_t *bits, uint64_t at, uint64_t len, bool set)
{
	uint64_t page = base_page_size(), i = at / page, end = (at + len + page - 1) / page;
	bool changed = false;

	for (; i < end; i++) {
		uint8_t *byte = bits + i / 8, bit = 1 << i % 8, was;

		was = set ? __atomic_fetch_or(byte, bit, __ATOMIC_RELAXED)
			  : __atomic_fetch_and(byte, ~bit, __ATOMIC_RELAXED);
		changed |= !(was & bit) == set;
	}
	return changed;
}

static int new_bits(const struct serve_set *set, uint8_t **ret)
{
	*ret = calloc(set->image_bytes / base_page_size() / 8 + 1, 1);
	return *ret ? 0 : -ENOMEM;
}

/* ---- the image ---- */

static int identify(struct uffdctl_serve *s)
{
	struct serve_set *set = s->set;

	set->image_bytes = s->images->contents.size;
	if (!set->image_bytes)
		return fail(s->h->t->u, -EOPNOTSUPP,
			    "%d: a working set needs an image that has a size: a file, a block device, a pipe or a server",
			    s->h->t->pid);
	return image_identify(s, s->images, &set->image_id);
}

static int check_image(struct uffdctl_serve *s)
{
	const struct uffdctl_workset *w = s->opts.prefetch;
	const struct serve_set *set = s->set;

	if (!w || (uffdctl_workset_image_bytes(w) == set->image_bytes && uffdctl_workset_image_id(w) == set->image_id))
		return 0;
	return fail(s->h->t->u, -EXDEV,
		    "%d: the working set is of another image: of %" PRIu64 " bytes, with contents %016" PRIx64
		    ", and this one has %" PRIu64 " bytes, with contents %016" PRIx64
		    ": give the image with which the set was recorded, or record a set with this one",
		    s->h->t->pid, uffdctl_workset_image_bytes(w), uffdctl_workset_image_id(w), set->image_bytes,
		    set->image_id);
}

/* ---- opening ---- */

static int make_bits(const struct uffdctl_serve *s, struct serve_set *set)
{
	const struct uffdctl_workset *w = s->opts.prefetch;

	set->records = s->opts.flags & UFFDCTL_SERVE_RECORD_SET;
	if ((set->records && new_bits(set, &set->seen) < 0) || (w && new_bits(set, &set->due) < 0))
		return log_oom(s->h->t->u);
	for (size_t i = 0; w && i < uffdctl_workset_count(w); i++) {
		const struct uffdctl_workset_item *item = uffdctl_workset_get(w, i);

		change_bits(set->due, item->offset, item->len, true);
	}
	return 0;
}

int set_open(struct uffdctl_serve *s)
{
	struct serve_set *set;
	int r;

	if (!s->opts.prefetch && !(s->opts.flags & UFFDCTL_SERVE_RECORD_SET))
		return 0;
	if (!images_main(s) || s->opts.nr_maps)
		return fail(s->h->t->u, -EINVAL,
			    "%d: a working set is of one image: it needs from_fd or from_uri, and no maps",
			    s->h->t->pid);
	s->set = set = calloc(1, sizeof(*set));
	if (!set)
		return log_oom(s->h->t->u);
	pthread_mutex_init(&set->lock, NULL);
	pthread_mutex_init(&set->next, NULL);
	r = identify(s);
	if (r >= 0)
		r = check_image(s);
	return r < 0 ? r : make_bits(s, set);
}

void set_start(struct uffdctl_serve *s)
{
	if (s->set)
		s->set->began_ns = now_ns(CLOCK_MONOTONIC);
}

void set_close(struct uffdctl_serve *s)
{
	struct serve_set *set = s->set;

	if (!set)
		return;
	pthread_mutex_destroy(&set->lock);
	pthread_mutex_destroy(&set->next);
	free(set->items);
	free(set->seen);
	free(set->due);
	free(set->workers);
	free(set);
	s->set = NULL;
}

/* ---- what is touched ---- */

/* The lock is held. It has a limit in time and in size: what a process touches in a day is no working set. */
static bool goes_on(const struct uffdctl_serve *s, uint64_t now, uint64_t more)
{
	const struct serve_set *set = s->set;
	const struct uffdctl_serve_opts *o = &s->opts;

	return set->records && (!o->set_ns || !set->began_ns || now - set->began_ns < o->set_ns) &&
	       (!o->set_bytes || set->bytes + more <= o->set_bytes);
}

static void record(struct uffdctl_serve *s, uint64_t at, uint64_t len, bool write)
{
	struct serve_set *set = s->set;
	struct uffdctl_workset_item *item;
	uint64_t now = now_ns(CLOCK_MONOTONIC);

	pthread_mutex_lock(&set->lock);
	set->records = goes_on(s, now, len);
	if (set->records && change_bits(set->seen, at, len, true)) {
		item = vec_add(set->items, set->nr, set->alloc);
		if (item)
			*item = (struct uffdctl_workset_item){
				.offset = at,
				.len = len,
				.time_ns = now - set->began_ns,
				.access = write ? UFFDCTL_ACCESS_WRITE : UFFDCTL_ACCESS_READ,
			};
		else
			serve_note(s, UFFDCTL_LOG_ERROR, -ENOMEM, serve_nowhere,
				   "%d: out of memory: the working set ends here", s->h->t->pid);
		set->records = item;
		set->bytes += item ? len : 0;
	}
	pthread_mutex_unlock(&set->lock);
}

/* A page that others are bringing in is not recorded: whoever asked first has done that, or it came in the background. */
static void touch(struct serve_worker *w, const struct serve_fault *f)
{
	const struct serve_part *p = memory_part(w->m, f->addr);
	struct serve_set *set = w->m->s->set;
	enum serve_state state;
	uint64_t at, page;

	if (!p || !p->store || (f->kind != UFFDCTL_KIND_MISSING && f->kind != UFFDCTL_KIND_MINOR))
		return;
	page = p->vma.page_size;
	at = p->part->from + (round_down(f->addr, page) - p->part->seg.range.start);
	state = part_get(p, f->addr);
	if (state != SERVE_NEW && state != SERVE_HELD && state != SERVE_BUSY)
		return;
	if (set->due && change_bits(set->due, at, page, false))
		serve_count(&w->counts.late, 1);
	if (set->seen && state != SERVE_BUSY)
		record(w->m->s, at, page, f->write);
}

void set_touch(struct serve_worker *w)
{
	serve_enter(w->m);
	for (size_t i = 0; i < w->nr_faults; i++)
		touch(w, &w->faults[i]);
	serve_leave(w->m);
}

/* ---- what was recorded ---- */

bool set_recorded(struct uffdctl_serve *s, uint64_t *touched)
{
	struct serve_set *set = s->set;
	bool records;

	if (!set)
		return false;
	pthread_mutex_lock(&set->lock);
	set->records = goes_on(s, now_ns(CLOCK_MONOTONIC), 0);
	records = set->records;
	*touched = set->bytes;
	pthread_mutex_unlock(&set->lock);
	return records;
}

UFFDCTL_EXPORT int uffdctl_serve_workset(struct uffdctl_serve *s, struct uffdctl_workset **ret)
{
	struct serve_set *set = s->set;
	struct uffdctl_workset *w = NULL;
	int r;

	if (!set || !set->seen)
		return fail(s->h->t->u, -EINVAL, "%d: uffdctl_serve_workset: none is recorded", s->h->t->pid);
	r = uffdctl_workset_new(s->h->t->u, set->image_bytes, set->image_id, &w);
	pthread_mutex_lock(&set->lock);
	for (size_t i = 0; r >= 0 && i < set->nr; i++)
		r = uffdctl_workset_add(w, &set->items[i]);
	pthread_mutex_unlock(&set->lock);
	if (r < 0)
		uffdctl_workset_free(w);
	else
		*ret = w;
	return r;
}
