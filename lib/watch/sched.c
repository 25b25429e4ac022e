// SPDX-License-Identifier: LGPL-2.1-or-later
/* The backend sched: which userfaultfds its programs look into. */
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "lib/kernel/iter.h"
#include "lib/log.h"
#include "lib/util.h"
#include "lib/watch/watch.h"

#include "watch_sched.lskel.h"

struct ctx_walk {
	struct uffdctl_watch *w;
	struct live {
		uint64_t mm, ctx;
		pid_t pid;
	} * live;
	size_t nr, alloc;
};

static int note_ctx(const void *arg_ev, void *arg)
{
	const struct ev_file *ev = arg_ev;
	struct ctx_walk *walk = arg;
	struct live *live;

	if (!ev->mm || !watch_is_wanted(walk->w, ev->mm))
		return 0;
	for (size_t i = 0; i < walk->nr; i++)
		if (walk->live[i].ctx == ev->ctx)
			return 0;
	live = vec_add(walk->live, walk->nr, walk->alloc);
	if (!live)
		return -ENOMEM;
	*live = (struct live){ ev->mm, ev->ctx, (pid_t)ev->pid };
	return 0;
}

static bool is_live(const struct ctx_walk *walk, uint64_t mm, uint64_t ctx)
{
	for (size_t i = 0; i < walk->nr; i++)
		if (walk->live[i].ctx == ctx && walk->live[i].mm == mm)
			return true;
	return false;
}

/* Userfaultfds that the programs found meanwhile are replaced only if there is no other place. */
static __u64 *place_of(const struct ctx_walk *walk, struct ev_ctxs *set, uint64_t mm)
{
	for (size_t i = 0; i < EV_MAX_CTXS; i++)
		if (!set->ctx[i])
			return &set->ctx[i];
	for (size_t i = 0; i < EV_MAX_CTXS; i++)
		if (!is_live(walk, mm, set->ctx[i]))
			return &set->ctx[i];
	return NULL;
}

/* This is looked at once a second. */
#define say_once(w, ...)                                  \
	__extension__({                                   \
		if (!(w)->crowded)                        \
			log_warning((w)->u, __VA_ARGS__); \
		(w)->crowded = true;                      \
	})

static int learn_ctx(const struct ctx_walk *walk, int mms_fd, const struct live *live)
{
	struct watch_sched_bpf *skel = walk->w->skel;
	uint32_t bit = ev_mm_bit(live->mm);
	struct ev_ctxs set = {};
	__u64 *place;

	bpf_map_lookup_elem(mms_fd, &live->mm, &set);
	for (size_t i = 0; i < EV_MAX_CTXS; i++)
		if (set.ctx[i] == live->ctx)
			return 0;
	place = place_of(walk, &set, live->mm);
	if (!place) {
		say_once(walk->w,
			 "backend sched: more than %d userfaultfds govern the memory of one process (process %d holds one of them): for faults on the further ones it may not be known whether they slept, and how long",
			 EV_MAX_CTXS, live->pid);
		return 0;
	}
	*place = live->ctx;
	__sync_fetch_and_or(&skel->bss->mm_bits[bit / 64], UINT64_C(1) << bit % 64);
	return bpf_map_update_elem(mms_fd, &live->mm, &set, BPF_ANY) < 0 ? -errno : 0;
}

static int learn_all(const struct ctx_walk *walk, int mms_fd)
{
	int r = 0;

	for (size_t i = 0; i < walk->nr && r >= 0; i++)
		r = learn_ctx(walk, mms_fd, &walk->live[i]);
	return r;
}

static void forget_all(int mms_fd)
{
	uint64_t key;

	while (bpf_map_get_next_key(mms_fd, NULL, &key) == 0 && bpf_map_delete_elem(mms_fd, &key) == 0)
		;
}

/*
 * The programs notice new userfaultfds at their UFFDIO_API; this finds those that fork created, those that are gone,
 * and, at the start, all that exist.
 */
static int refresh(struct uffdctl_watch *w)
{
	struct watch_sched_bpf *skel = w->skel;
	struct ctx_walk walk = { .w = w };
	struct iter *it;
	int r = iter_get(w->u, &it), mms_fd = skel->maps.mms.map_fd;
	size_t nr;

	if (r >= 0)
		r = iter_files(it, 0, note_ctx, NULL, &walk);
	if (r < 0) {
		free(walk.live);
		return r;
	}
	r = learn_all(&walk, mms_fd);
	if (r == -E2BIG) {
		/* If the table is full, entries of memories that are gone may be the reason. */
		forget_all(mms_fd);
		r = learn_all(&walk, mms_fd);
	}
	if (r == -E2BIG)
		say_once(w, "backend sched: userfaultfds govern more than %d memories: some are not watched",
			 EV_MAX_GOVERNED);
	nr = MIN(walk.nr, (size_t)EV_MAX_ALL_CTXS);
	for (size_t i = 0; i < nr; i++)
		skel->bss->ctxs[i] = walk.live[i].ctx;
	skel->bss->nr_ctxs = nr;
	if (nr)
		skel->bss->active = 1;
	free(walk.live);
	return r == -E2BIG ? 0 : r;
}

static int probe(struct uffdctl_watch *w, const char **why)
{
	(void)why;
	return watch_load(w, watch_sched_bpf);
}

static int attach(struct uffdctl_watch *w, const char **why)
{
	int r = refresh(w);

	(void)why;
	return r < 0 ? r : watch_sched_bpf__attach(w->skel);
}

static void unload(struct uffdctl_watch *w)
{
	watch_sched_bpf__destroy(w->skel);
}

static void note_before(struct uffdctl_watch *w)
{
	struct watch_sched_bpf *skel = w->skel;

	skel->bss->some_waited = 1;
}

const struct watch_backend watch_sched = {
	.name = "sched",
	.flags = WATCH_MARKS | WATCH_FAILURES,
	.probe = probe,
	.open = attach,
	.close = unload,
	.refresh = refresh,
	.note_before = note_before,
};
