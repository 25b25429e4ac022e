// SPDX-License-Identifier: LGPL-2.1-or-later
/* The backend sched: which userfaultfds its programs look into. */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

#include "iter.h"
#include "log.h"
#include "util.h"
#include "watch.h"

#include "watch_sched.lskel.h"

/* As in bpf/watch_sched.bpf.c. */
#define MAX_CTXS 4
#define MAX_ALL_CTXS 64

struct ctx_walk {
	struct uffdctl_watch *w;
	int mms_fd;
	uint64_t ctxs[MAX_ALL_CTXS];
	size_t nr;
};

static int learn_ctx(const void *arg_ev, void *arg)
{
	const struct ev_file *ev = arg_ev;
	struct ctx_walk *walk = arg;
	uint64_t set[MAX_CTXS] = {};
	bool known = false;

	if (!ev->mm || !watch_is_wanted(walk->w, ev->mm))
		return 0;
	for (size_t i = 0; i < walk->nr; i++)
		known |= walk->ctxs[i] == ev->ctx;
	if (!known && walk->nr < MAX_ALL_CTXS)
		walk->ctxs[walk->nr++] = ev->ctx;

	bpf_map_lookup_elem(walk->mms_fd, &ev->mm, set);
	for (size_t i = 0; i < MAX_CTXS; i++) {
		if (set[i] == ev->ctx)
			return 0;
		if (set[i])
			continue;
		set[i] = ev->ctx;
		return bpf_map_update_elem(walk->mms_fd, &ev->mm, set, BPF_ANY) < 0 ? -errno : 0;
	}
	/* A memory with more userfaultfds than there is room for: the eldest makes room. */
	memmove(set, set + 1, sizeof(set) - sizeof(set[0]));
	set[MAX_CTXS - 1] = ev->ctx;
	return bpf_map_update_elem(walk->mms_fd, &ev->mm, set, BPF_ANY) < 0 ? -errno : 0;
}

static void forget_all(int mms_fd)
{
	uint64_t key;

	while (bpf_map_get_next_key(mms_fd, NULL, &key) == 0 && bpf_map_delete_elem(mms_fd, &key) == 0)
		;
}

/* New ones are learned by their UFFDIO_API at once; this finds those of fork, and what is gone. */
static int refresh(struct uffdctl_watch *w)
{
	struct watch_sched_bpf *skel = w->skel;
	struct ctx_walk walk = { .w = w, .mms_fd = skel->maps.mms.map_fd };
	struct iter *it;
	int r = iter_get(w->u, &it);

	if (r >= 0)
		r = iter_files(it, 0, learn_ctx, NULL, &walk);
	if (r == -E2BIG) {
		/* Full of memories that are gone, if it is not for those that are there. */
		forget_all(walk.mms_fd);
		walk.nr = 0;
		r = iter_files(it, 0, learn_ctx, NULL, &walk);
	}
	if (r == -E2BIG)
		log_warning(w->u,
			    "backend sched: there are more userfaultfds than it has room for: some are not watched");
	else if (r < 0)
		return r;
	memcpy(skel->bss->ctxs, walk.ctxs, sizeof(walk.ctxs));
	skel->bss->nr_ctxs = walk.nr;
	if (walk.nr)
		skel->bss->active = 1;
	return 0;
}

static int load(struct uffdctl_watch *w, const char **why)
{
	struct watch_sched_bpf *skel = NULL;
	int r = iter_load_skel(watch_sched_bpf, &skel);

	*why = NULL;
	if (!skel)
		return r;
	w->skel = skel;
	watch_use_maps(w, skel);
	return 0;
}

static int attach(struct uffdctl_watch *w, const char **why)
{
	int r = refresh(w);

	*why = NULL;
	return r < 0 ? r : watch_sched_bpf__attach(w->skel);
}

static void unload(struct uffdctl_watch *w)
{
	watch_sched_bpf__destroy(w->skel);
}

static void before(struct uffdctl_watch *w)
{
	struct watch_sched_bpf *skel = w->skel;

	skel->bss->nr_before = 1;
}

const struct watch_backend watch_sched = {
	.name = "sched",
	.load = load,
	.attach = attach,
	.unload = unload,
	.refresh = refresh,
	.before = before,
};
