// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: takes in the events of a memory. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/drive/serve_event.h"
#include "lib/drive/serve_memory.h"
#include "lib/drive/serve_store.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"

/* Without memory the parts are not what the process has: resolve nothing any more. */
static void fail_event(struct serve_memory *m, int err, const char *event)
{
	struct uffdctl_serve *s = m->s;

	serve_note(s, UFFDCTL_LOG_ERROR, err, serve_nowhere, "%d: following the event %s: %s", s->h->t->pid, event,
		   strerror(-err));
	__atomic_store_n(&s->failed, err, __ATOMIC_RELEASE);
	__atomic_store_n(&s->stopping, 1, __ATOMIC_RELEASE);
	serve_poke(s);
}

static bool overlap(struct uffdctl_range a, struct uffdctl_range b)
{
	return a.start < b.end && b.start < a.end;
}

/* ---- pages that the process removes ---- */

/* What was filled may be in the page cache still, after MADV_DONTNEED, with what the process has written since. */
static void remove_pages(struct uffdctl_serve *s, const struct serve_part *p, struct uffdctl_range r)
{
	for (; p->store && r.start < r.end; r.start += p->vma.page_size) {
		uint8_t *state = part_state(p, r.start);

		if (*state == SERVE_DONE)
			continue;
		/* Who fills a busy one counts it. */
		if (*state != SERVE_BUSY && *state != SERVE_REMOVED && !p->store->owner)
			serve_count(&s->done_bytes, p->vma.page_size);
		__atomic_store_n(state, SERVE_REMOVED, __ATOMIC_RELEASE);
	}
}

static void on_remove(struct serve_memory *m, struct uffdctl_range r)
{
	for (size_t i = 0; i < m->nr; i++)
		if (overlap(m->parts[i]->part->seg.range, r))
			remove_pages(m->s, m->parts[i], range_common(m->parts[i]->part->seg.range, r));
}

/* ---- mappings that go or move ---- */

static bool split(struct serve_memory *m, uint64_t at)
{
	struct serve_part *p = memory_part(m, at), *tail;
	struct uffdctl_range *r = p ? &p->part->seg.range : NULL;

	if (!p || r->start == at)
		return true;
	tail = memory_add(m, NULL);
	if (!tail)
		return false;
	part_set(tail, p, (struct uffdctl_range){ at, r->end });
	tail->part->split_from = p->part->split_from ?: p->part;
	r->end = at;
	memory_sort(m);
	return true;
}

static bool is_within(const struct serve_part *p, struct uffdctl_range r)
{
	return p->part->seg.range.start >= r.start && p->part->seg.range.end <= r.end;
}

/* A worker may have a part in hand that is dropped: its memory stays. */
static bool drop(struct serve_memory *m, struct uffdctl_range r)
{
	size_t nr = 0;

	if (!split(m, r.start) || !split(m, r.end))
		return false;
	for (size_t i = 0; i < m->nr; i++) {
		struct serve_part *p = m->parts[i];

		if (is_within(p, r))
			remove_pages(m->s, p, p->part->seg.range);
		else
			m->parts[nr++] = p;
	}
	m->nr = nr;
	return true;
}

static void on_unmap(struct serve_memory *m, struct uffdctl_range r)
{
	if (!drop(m, r))
		fail_event(m, -ENOMEM, "UNMAP");
	uffd_wake(m->h.uffd, r);
}

/* Something else may be mapped at the new place: that is gone, though only EVENT_UNMAP would say so. */
static void on_remap(struct serve_memory *m, struct uffdctl_range from, uint64_t to)
{
	uint64_t by = to - from.start;

	if (!split(m, from.start) || !split(m, from.end) ||
	    !drop(m, (struct uffdctl_range){ to, to + range_len(from) })) {
		fail_event(m, -ENOMEM, "REMAP");
		return;
	}
	for (size_t i = 0; i < m->nr; i++) {
		struct serve_part *p = m->parts[i];

		if (!is_within(p, from))
			continue;
		p->part->seg.range.start += by;
		p->part->seg.range.end += by;
		p->vma.range.start += by;
		p->vma.range.end += by;
	}
	memory_sort(m);
	uffd_wake(m->h.uffd, from);
}

/* ---- a child ---- */

static int copy_parts(const struct serve_memory *from, struct serve_memory *to)
{
	for (size_t i = 0; i < from->nr; i++) {
		const struct serve_part *p = from->parts[i];
		struct serve_part *q = memory_add(to, NULL);

		if (!q)
			return -ENOMEM;
		part_set(q, p, p->part->seg.range);
		/* What is shared is the same for both. */
		if (p->store && !p->store->vma)
			q->store = store_copy(to->s, p->store, to);
		if (p->store && !q->store)
			return -ENOMEM;
	}
	memory_sort(to);
	return 0;
}

static void add_memory(struct uffdctl_serve *s, struct serve_memory *m)
{
	pthread_mutex_lock(&s->lock);
	m->next = s->memories;
	s->memories = m;
	pthread_mutex_unlock(&s->lock);
}

static void on_fork(struct serve_memory *m, int uffd)
{
	struct serve_memory *child = NULL;
	int r = memory_new(m->s, uffd, &child);

	if (!child) {
		close(uffd);
		fail_event(m, r, "FORK");
		return;
	}
	child->has_events = true;
	if (r >= 0)
		r = copy_parts(m, child);
	if (r < 0) {
		memory_free(child);
		fail_event(m, r, "FORK");
		return;
	}
	/* The control thread starts its worker. */
	add_memory(m->s, child);
	serve_poke(m->s);
	serve_note(m->s, UFFDCTL_LOG_INFO, 0, serve_nowhere, "%d: has forked: the child is served, too",
		   m->s->h->t->pid);
}

/* ---- all ---- */

void serve_event(struct serve_worker *w, const struct uffd_msg *msg)
{
	struct serve_memory *m = w->m;

	switch (msg->event) {
	case UFFD_EVENT_FORK:
		on_fork(m, (int)msg->arg.fork.ufd);
		break;
	case UFFD_EVENT_REMAP:
		on_remap(m, (struct uffdctl_range){ msg->arg.remap.from, msg->arg.remap.from + msg->arg.remap.len },
			 msg->arg.remap.to);
		break;
	case UFFD_EVENT_REMOVE:
		on_remove(m, (struct uffdctl_range){ msg->arg.remove.start, msg->arg.remove.end });
		break;
	case UFFD_EVENT_UNMAP:
		on_unmap(m, (struct uffdctl_range){ msg->arg.remove.start, msg->arg.remove.end });
		break;
	default:
		fail_event(m, -EOPNOTSUPP, "of an unknown kind");
	}
}
