// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: brings in a working set, in its order, before anything else that nobody has asked for. */
#include <fcntl.h>
#include <string.h>

#include "lib/drive/serve_background.h"
#include "lib/drive/serve_fault.h"
#include "lib/drive/serve_prefetch.h"
#include "lib/drive/serve_set.h"
#include "lib/drive/serve_work.h"
#include "lib/kernel/niceness.h"

/* They wait for the source most of the time. */
#define NR_THREADS 4
#define LOOK_MS 2
#define RETRY_MS 2000

static bool runs(const struct serve_set *set)
{
	return __atomic_load_n(&set->nr_running, __ATOMIC_ACQUIRE);
}

/* ---- where the next pages of the set are ---- */

/*
 * What the memory has of the image from an offset on. The gate is held.
 * @at: in and out: skips what the memory does not have
 * @ret: out, addresses: up to SERVE_RUN_BYTES, or one huge page; empty: nothing before @end
 */
static void find_pages(const struct serve_memory *m, uint64_t *at, uint64_t end, struct uffdctl_range *ret)
{
	const struct part *best = NULL;
	struct uffdctl_range whole;
	uint64_t page, len;

	for (size_t i = 0; i < m->nr; i++) {
		const struct part *p = m->parts[i]->part;

		if (p->from < end && p->from + range_len(p->seg.range) > *at && (!best || p->from < best->from))
			best = p;
	}
	*ret = (struct uffdctl_range){};
	if (!best) {
		*at = end;
		return;
	}
	*at = MAX(*at, best->from);
	page = best->seg.vma->page_size;
	len = MAX(SERVE_RUN_BYTES, page);
	whole = best->seg.range;
	ret->start = round_down(whole.start + (*at - best->from), page);
	*ret = range_common(whole, (struct uffdctl_range){ ret->start, ret->start + len });
	ret->end = MIN(ret->end, round_up(whole.start + (end - best->from), page));
	*at = MIN(best->from + (ret->end - whole.start), end);
}

/* False: the set has ended. */
static bool next_pages(struct serve_worker *w, struct uffdctl_range *ret)
{
	struct serve_set *set = w->m->s->set;
	const struct uffdctl_workset_item *item;

	*ret = (struct uffdctl_range){};
	pthread_mutex_lock(&set->next);
	serve_enter(w->m);
	while (ret->start == ret->end && (item = uffdctl_workset_get(w->m->s->opts.prefetch, set->item))) {
		uint64_t at = item->offset + set->at;

		find_pages(w->m, &at, item->offset + item->len, ret);
		set->at = at - item->offset;
		if (set->at < item->len)
			continue;
		set->item++;
		set->at = 0;
	}
	serve_leave(w->m);
	pthread_mutex_unlock(&set->next);
	return ret->start < ret->end;
}

/* ---- the threads ---- */

/* The file comes into the page cache in long reads, while the pages are brought in one after the other. */
static void warm(struct serve_worker *w)
{
	const struct uffdctl_serve *s = w->m->s;
	const struct contents *c = &s->images->contents;
	const struct uffdctl_workset_item *item;

	if (c->fd < 0 || c->ours)
		return;
	for (size_t i = 0; (item = uffdctl_workset_get(s->opts.prefetch, i)) && !serve_stopping(w->m->s); i++)
		posix_fadvise(c->fd, (off_t)(c->offset + item->offset), (off_t)item->len, POSIX_FADV_WILLNEED);
}

static void go_through(struct serve_worker *w, bool tries_held)
{
	struct uffdctl_serve *s = w->m->s;
	struct uffdctl_range r;

	while (!serve_stopping(s) && next_pages(w, &r)) {
		if (!background_range(w, r, tries_held))
			__atomic_store_n(&s->set->again, true, __ATOMIC_RELAXED);
		background_keep_rate(s, range_len(r));
	}
}

/* Some time later, if some could not be brought in. No other thread is at it any more. */
static bool start_again(struct uffdctl_serve *s)
{
	if (!__atomic_exchange_n(&s->set->again, false, __ATOMIC_RELAXED))
		return false;
	background_sleep(s, RETRY_MS);
	s->set->item = 0;
	s->set->at = 0;
	return !serve_stopping(s);
}

static void *prefetch(void *arg)
{
	struct serve_worker *w = arg;
	struct uffdctl_serve *s = w->m->s;

	niceness_give_way();
	if (w == s->set->workers)
		warm(w);
	go_through(w, false);
	/* One of them tries again, unless that comes with all else. */
	if (__atomic_sub_fetch(&s->set->nr_running, 1, __ATOMIC_ACQ_REL) == 0 &&
	    !(s->opts.flags & UFFDCTL_SERVE_PREFAULT))
		while (start_again(s))
			go_through(w, true);
	__atomic_store_n(&w->ended, true, __ATOMIC_RELEASE);
	return NULL;
}

void prefetch_wait(struct uffdctl_serve *s)
{
	while (s->set && runs(s->set) && !serve_stopping(s))
		background_sleep(s, LOOK_MS);
}

int prefetch_start(struct uffdctl_serve *s)
{
	struct serve_set *set = s->set;
	int r = 0;

	if (!set || !set->due)
		return 0;
	set->workers = aligned_alloc(_Alignof(struct serve_worker), NR_THREADS * sizeof(*set->workers));
	if (!set->workers)
		return -ENOMEM;
	memset(set->workers, 0, NR_THREADS * sizeof(*set->workers));
	for (; set->nr_workers < NR_THREADS && r >= 0; set->nr_workers += r >= 0) {
		struct serve_worker *w = &set->workers[set->nr_workers];

		w->prefaults = w->prefetches = true;
		__atomic_add_fetch(&set->nr_running, 1, __ATOMIC_RELEASE);
		r = worker_start(w, s->memories, prefetch);
	}
	if (r < 0)
		__atomic_sub_fetch(&set->nr_running, 1, __ATOMIC_RELEASE);
	return set->nr_workers ? 0 : r;
}

void prefetch_join(struct uffdctl_serve *s)
{
	for (unsigned int i = 0; s->set && i < s->set->nr_workers; i++)
		worker_join(&s->set->workers[i]);
}
