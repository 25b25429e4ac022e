// SPDX-License-Identifier: LGPL-2.1-or-later
/* Finds the process and the mapping in which a fault occurred. */
#include <errno.h>

#include "lib/inspect/maps.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/target.h"
#include "lib/util.h"
#include "lib/watch/watch.h"

#define REFRESH_NS UINT64_C(1000000000)
#define MAX_MEMORIES 512

static struct watch_memory *new_memory(struct uffdctl_watch *w)
{
	struct watch_memory *m = NULL;

	if (w->nr_memories < MAX_MEMORIES)
		return vec_add(w->memories, w->nr_memories, w->memories_alloc);
	for (size_t i = 0; i < w->nr_memories; i++)
		if (!m || w->memories[i].used_ns < m->used_ns)
			m = &w->memories[i];
	uffdctl_maps_free(m->maps);
	return m;
}

static bool is_memory(const struct watch_memory *m, const struct ev_fault *ev)
{
	return m && m->mm == ev->mm && m->process_ns == ev->process_ns;
}

struct owner_walk {
	uint64_t mm;
	uint64_t until_ns; /* began by then */
	struct ev_task found;
};

static int find_owner(const void *arg_ev, void *arg)
{
	const struct ev_task *ev = arg_ev;
	struct owner_walk *walk = arg;

	if (ev->mm != walk->mm || ev->start_ns > walk->until_ns)
		return 0;
	walk->found = *ev;
	return 1;
}

/* For a thread of another process: find the process that has this memory now, and existed when it faulted. */
static void find_process(struct uffdctl_watch *w, struct watch_memory *m, const struct ev_fault *ev)
{
	struct owner_walk walk = { .mm = m->mm, .until_ns = ev->start_ns };
	struct iter *it;

	if (m->found_ns && ev->end_ns < m->found_ns + REFRESH_NS)
		return;
	m->found_ns = ev->end_ns;
	if (iter_get(w->u, &it) == 0)
		iter_tasks(it, 0, find_owner, &walk);
	/* If none was found, keep the PID of the process that has ended. */
	if (!walk.found.start_ns || walk.found.start_ns == m->start_ns)
		return;
	uffdctl_maps_free(m->maps);
	m->maps = NULL;
	m->maps_ns = 0;
	m->start_ns = walk.found.start_ns;
	m->pid = walk.found.pid;
}

struct watch_memory *watch_memory(struct uffdctl_watch *w, const struct ev_fault *ev)
{
	struct watch_memory *m = is_memory(w->last, ev) ? w->last : NULL;

	for (size_t i = 0; !m && i < w->nr_memories; i++)
		if (is_memory(&w->memories[i], ev))
			m = &w->memories[i];
	if (!m) {
		m = new_memory(w);
		if (!m)
			return NULL;
		*m = (struct watch_memory){ .mm = ev->mm, .process_ns = ev->process_ns };
		if (ev->process_ns) {
			m->start_ns = ev->process_ns;
			m->pid = ev->pid;
		}
	}
	w->last = m;
	m->used_ns = ev->end_ns;
	if (!ev->process_ns)
		find_process(w, m, ev);
	return m;
}

/* Check that the PID still has this memory: it may have ended meanwhile, or have another program. */
static bool is_still_there(struct uffdctl_watch *w, const struct watch_memory *m)
{
	struct ev_task task;
	struct iter *it;

	return iter_get(w->u, &it) == 0 && iter_find_task(it, m->pid, &task) == 0 && task.mm == m->mm &&
	       task.start_ns == m->start_ns;
}

static void read_maps(struct uffdctl_watch *w, struct watch_memory *m, uint64_t now)
{
	struct uffdctl_maps *maps = NULL;
	struct uffdctl_target *t = NULL;
	bool silent = w->u->silent;

	m->maps_ns = now;
	/* Names are updated while they can be read; a process that has ended keeps its last names. */
	w->u->silent = true;
	if (m->pid && uffdctl_target_open(w->u, m->pid, &t) == 0)
		maps_read(t, UFFDCTL_SOURCE_BPF, 0, NULL, &maps);
	w->u->silent = silent;
	uffdctl_target_close(t);
	if (maps && is_still_there(w, m)) {
		uffdctl_maps_free(m->maps);
		m->maps = maps;
	} else {
		uffdctl_maps_free(maps);
	}
}

static const struct uffdctl_vma *vma_at(const struct watch_memory *m, uint64_t addr)
{
	const struct uffdctl_vma *v = m->maps ? uffdctl_maps_get(m->maps, maps_find(m->maps, addr)) : NULL;

	return v && v->range.start <= addr ? v : NULL;
}

const struct uffdctl_vma *watch_mapping(struct uffdctl_watch *w, struct watch_memory *m, uint64_t addr, uint64_t now)
{
	const struct uffdctl_vma *v = vma_at(m, addr);

	if (now < m->maps_ns + (v ? REFRESH_NS : REFRESH_NS / 10))
		return v;
	read_maps(w, m, now);
	return vma_at(m, addr);
}

void watch_memories_free(struct uffdctl_watch *w)
{
	for (size_t i = 0; i < w->nr_memories; i++)
		uffdctl_maps_free(w->memories[i].maps);
	free(w->memories);
}
