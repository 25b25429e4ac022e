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

static int note_waiter(const struct ev_waiter *ev, void *arg)
{
	struct uffdctl_watch *w = arg;
	struct ev_slot *s;
	uint32_t *noted;

	if (ev->queue == EV_EVENT || !watch_is_wanted(w, ev->mm))
		return 0;
	if (w->backend->note_before)
		w->backend->note_before(w);
	s = find_slot(w, ev->task);
	if (!s) {
		s = take_place(w, ev->task);
		if (!s)
			return 0;
		s->f.ctx = ev->ctx;
	}
	/*
	 * If the slot is taken, the fault was seen after we attached and is counted, unless its message was read
	 * before.
	 */
	if (!__sync_bool_compare_and_swap(&s->word, EV_IDLE, ev->queue == EV_DELIVERED ? EV_BEFORE_READ : EV_BEFORE) &&
	    __atomic_load_n(&s->word, __ATOMIC_SEQ_CST) != EV_BEFORE_READ)
		return 0;
	noted = vec_add(w->before, w->nr_before, w->before_alloc);
	if (!noted)
		return log_oom(w->u);
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
	/* If a queue could not be walked as a whole, a thread that waited before may look like a new one. */
	*w->all_seen = !waiters_torn(w->u, NULL, 0);
	return r;
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
