// SPDX-License-Identifier: LGPL-2.1-or-later
/* Threads that waited when watching began: they have slots, and are not counted. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/kernel/waiters.h"
#include "lib/log.h"
#include "lib/util.h"
#include "lib/watch/watch.h"

/* The slot of a thread: the same one that programs find. */
static struct ev_slot *find_slot(struct uffdctl_watch *w, uint64_t task)
{
	for (uint32_t i = 0; i < EV_MAX_PROBES; i++) {
		struct ev_slot *s = &w->slots[ev_slot_place(task, i)];

		if (__atomic_load_n(&s->task, __ATOMIC_SEQ_CST) == task)
			return s;
	}
	return NULL;
}

/* Find a place for a thread that has none; NULL: programs have given it one meanwhile, or there is no room. */
static struct ev_slot *take_place(struct uffdctl_watch *w, uint64_t task)
{
	for (uint32_t i = 0; i < EV_MAX_PROBES; i++) {
		struct ev_slot *s = &w->slots[ev_slot_place(task, i)];

		if (!__sync_bool_compare_and_swap(&s->task, 0, task))
			continue;
		if (find_slot(w, task) == s)
			return s;
		__sync_lock_test_and_set(&s->task, 0);
		return NULL;
	}
	return NULL;
}

static struct ev_slot *slot_of(struct uffdctl_watch *w, const struct ev_waiter *ev)
{
	struct ev_slot *s = find_slot(w, ev->task);

	if (s)
		return s;
	s = take_place(w, ev->task);
	if (!s)
		return find_slot(w, ev->task);
	s->f.ctx = ev->ctx;
	s->f.start_ns = 0;
	return s;
}

/* A waiter may be visited twice. */
static bool is_noted(const struct uffdctl_watch *w, const struct ev_slot *s)
{
	for (size_t i = 0; i < w->nr_before; i++)
		if (&w->slots[w->before[i]] == s)
			return true;
	return false;
}

/* Mark the slot of a thread that waited before. False: programs have seen its fault, and count it. */
static bool mark(struct uffdctl_watch *w, struct ev_slot *s, const struct ev_waiter *ev)
{
	/* A fault that has ended since was seen to begin. */
	if (s->f.start_ns >= w->began_ns)
		return false;
	if (__sync_bool_compare_and_swap(&s->word, EV_IDLE, ev->queue == EV_DELIVERED ? EV_BEFORE_READ : EV_BEFORE))
		return true;
	/* sched saw its message read before all waiters were known. */
	return __atomic_load_n(&s->word, __ATOMIC_SEQ_CST) == EV_BEFORE_READ && !is_noted(w, s);
}

static int note_waiter(const struct ev_waiter *ev, void *arg)
{
	struct uffdctl_watch *w = arg;
	struct ev_slot *s;
	uint32_t *noted;

	if (ev->queue == EV_EVENT || !watch_is_wanted(w, ev->mm))
		return 0;
	if (w->backend->note_before)
		w->backend->note_before(w);
	s = slot_of(w, ev);
	w->before_incomplete |= !s;
	if (!s || !mark(w, s, ev) || !watch_is_chosen(w, ev))
		return 0;
	noted = vec_add(w->before, w->nr_before, w->before_alloc);
	if (!noted)
		return -ENOMEM;
	*noted = s - w->slots;
	return 0;
}

int watch_note_before(struct uffdctl_watch *w)
{
	int r;

	w->slots = mmap(NULL, EV_NR_SLOTS * sizeof(struct ev_slot), PROT_READ | PROT_WRITE, MAP_SHARED, w->slots_fd, 0);
	if (w->slots == MAP_FAILED) {
		w->slots = NULL;
		return fail(w->u, -errno, "mapping the slots of threads: %s", strerror(errno));
	}
	r = waiters_find(w->u);
	if (r >= 0)
		r = waiters_visit(w->u, note_waiter, w);
	if (r < 0)
		return r == -ENOMEM ? log_oom(w->u) : fail(w->u, r, "looking for waiters: %s", strerror(-r));
	/* Without a slot, a thread that waited before looks like a new one. */
	*w->all_seen = !w->before_incomplete && !waiters_torn(w->u, NULL, 0) && waiters_all_found(w->u);
	return 0;
}

uint64_t watch_before_left(const struct uffdctl_watch *w)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < w->nr_before; i++) {
		const struct ev_slot *s = &w->slots[w->before[i]];
		uint32_t state = ev_slot_state(s->word);

		nr += s->task && (state == EV_BEFORE || state == EV_BEFORE_READ);
	}
	return nr;
}

void watch_before_free(struct uffdctl_watch *w)
{
	if (w->slots)
		munmap(w->slots, EV_NR_SLOTS * sizeof(struct ev_slot));
	free(w->before);
}
