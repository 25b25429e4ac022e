// SPDX-License-Identifier: LGPL-2.1-or-later
/* The choice of processes, ranges and kinds of faults to watch. */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

#include "lib/inspect/segments.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/names.h"
#include "lib/kernel/target.h"
#include "lib/kernel/uapi.h"
#include "lib/kernel/vmflags.h"
#include "lib/log.h"
#include "lib/util.h"
#include "lib/watch/watch.h"

/* ---- configuration ---- */

static bool is_registered(const struct uffdctl_vma *v, uint64_t ctx, void *arg)
{
	(void)ctx, (void)arg;
	return v->modes;
}

static int resolve_ranges(struct uffdctl_watch *w, pid_t pid, const struct uffdctl_ranges *ranges, struct segments *ret)
{
	static const struct range_filter filter = { .all = is_registered,
						    .verb = "is registered on a userfaultfd",
						    .glob_registered = true };
	struct uffdctl_target *t = NULL;
	struct uffdctl_maps *maps = NULL;
	int r = uffdctl_target_open(w->u, pid, &t);

	if (r >= 0)
		r = maps_read(t, UFFDCTL_SOURCE_AUTO, UFFDCTL_MAPS_ALL, NULL, &maps);
	for (size_t i = 0; r >= 0 && i < ranges->nr; i++)
		r = range_resolve(t, maps, &ranges->specs[i], &filter, ret);
	uffdctl_maps_free(maps);
	uffdctl_target_close(t);
	return r;
}

/* Neighbours are one. False: there is no room for another. */
static bool add_range(struct ev_watch_config *c, const struct uffdctl_range *next)
{
	if (c->nr_ranges && c->ranges[c->nr_ranges - 1].end == next->start) {
		c->ranges[c->nr_ranges - 1].end = next->end;
		return true;
	}
	if (c->nr_ranges == EV_MAX_RANGES)
		return false;
	c->ranges[c->nr_ranges++] = (struct ev_range){ next->start, next->end };
	return true;
}

static int configure_ranges(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts)
{
	_cleanup_(segments_free) struct segments segments = {};
	int r;

	if (!opts->pids || opts->nr_pids != 1)
		return fail(w->u, -EINVAL, "ranges require exactly one PID");
	r = resolve_ranges(w, opts->pids[0], opts->ranges, &segments);
	for (size_t i = 0; r >= 0 && i < segments.nr; i++)
		if (!add_range(&w->config, &segments.segs[i].range))
			return fail(w->u, -E2BIG, "%d: the ranges have more than %d parts: use fewer ranges",
				    opts->pids[0], EV_MAX_RANGES);
	return r;
}

int watch_configure(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts)
{
	const struct vmflags *flags;
	struct iter *it;
	int r = iter_get(w->u, &it);

	if (r < 0)
		return fail(w->u, r, "%s", iter_why(w->u, r));
	r = vmflags_get(w->u, it, &flags);
	if (r < 0)
		return r;
	w->config = (struct ev_watch_config){
		.fops = iter_fops(it),
		.pid_ns = iter_pid_ns(it),
		.level = iter_level(it),
		.vm_minor = flags->mode_bits[2],
		.vm_rwp = flags->mode_bits[3],
		.flags = (opts->flags & UFFDCTL_WATCH_STREAM ? EV_WATCH_STREAM : 0) |
			 (opts->flags & UFFDCTL_WATCH_CHILDREN ? EV_WATCH_CHILDREN : 0) |
			 (opts->pids ? EV_WATCH_SOME : 0),
		.kinds = opts->modes,
		.access = opts->access == UFFDCTL_ACCESS_UNKNOWN ? 0 : 1u << (opts->access - UFFDCTL_ACCESS_READ),
	};
	if (w->config.kinds || w->config.access || opts->ranges)
		w->config.flags |= EV_WATCH_CHOICE;
	return opts->ranges ? configure_ranges(w, opts) : 0;
}

bool watch_is_chosen(const struct uffdctl_watch *w, const struct ev_waiter *ev)
{
	const struct ev_watch_config *c = &w->config;
	/* In the order of their bits. */
	unsigned int kind = kind_of_message(UFFD_EVENT_PAGEFAULT, ev->flags) - UFFDCTL_KIND_MISSING;
	enum ev_access access = ev->flags & UFFD_PAGEFAULT_FLAG_WRITE ? EV_WRITE : EV_READ;
	bool in_range = !c->nr_ranges;

	for (size_t i = 0; i < c->nr_ranges; i++)
		in_range |= c->ranges[i].start <= ev->addr && ev->addr < c->ranges[i].end;
	return in_range && (!c->kinds || c->kinds >> kind & 1) && (!c->access || c->access >> access & 1);
}

/* ---- processes ---- */

/* Runs a program, since others count memories at the same time: see struct ev_process. */
static int run_choose(const struct uffdctl_watch *w, uint64_t process, uint64_t mm, uint64_t parent)
{
	struct ev_process p = { process, mm, parent };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &p, .ctx_size_in = sizeof(p));
	int r = bpf_prog_test_run_opts(w->choose_fd, &opts);

	return r < 0 ? r : (int)opts.retval;
}

bool watch_is_wanted(const struct uffdctl_watch *w, uint64_t mm)
{
	return !(w->config.flags & EV_WATCH_SOME) || run_choose(w, 0, mm, 0) > 0;
}

/* @parent: as in struct ev_process. Returns whether it was chosen now. */
static int choose(struct uffdctl_watch *w, const struct ev_task *task, uint64_t parent)
{
	int r = run_choose(w, task->process, task->mm, parent);

	if (r == -E2BIG)
		return fail(w->u, r, "%d: at most %d processes can be watched", task->pid, EV_MAX_PROCESSES);
	/* It was given twice, or its parent's fork was seen meanwhile; or its parent is not chosen. */
	if (r == -EEXIST || r == -ENOENT)
		return 0;
	return r < 0 ? fail(w->u, r, "%d: selecting this process: %s", task->pid, strerror(-r)) : 1;
}

int watch_choose(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts)
{
	struct ev_task task;
	struct iter *it;
	int r = iter_get(w->u, &it);

	for (size_t i = 0; r >= 0 && opts->pids && i < opts->nr_pids; i++) {
		r = iter_find_task(it, opts->pids[i], &task);
		if (r < 0)
			return r == -ENOENT
				       ? fail(w->u, -ESRCH, "%d: no such process", opts->pids[i])
				       : fail(w->u, r, "%d: looking for this process: %s", opts->pids[i], strerror(-r));
		r = choose(w, &task, 0);
	}
	return r;
}

struct child_walk {
	struct uffdctl_watch *w;
	size_t nr_new;
	int err; /* logged; it ends the walk */
};

static int choose_child(const void *arg_ev, void *arg)
{
	const struct ev_task *task = arg_ev;
	struct child_walk *walk = arg;
	int r = task->parent ? choose(walk->w, task, task->parent) : 0;

	walk->nr_new += r > 0;
	walk->err = r < 0 ? r : 0;
	return r < 0;
}

static int each_process(struct uffdctl_watch *w, struct iter *it, int (*fn)(const void *ev, void *arg), void *arg)
{
	int r = iter_tasks(it, 0, fn, arg);

	return r < 0 ? fail(w->u, r, "looking for processes: %s", strerror(-r)) : 0;
}

/* Add the existing descendants; the programs are attached and add new ones. */
static int choose_children(struct uffdctl_watch *w, struct iter *it)
{
	struct child_walk walk = { .w = w };
	int r = 0;

	do {
		walk.nr_new = 0;
		r = each_process(w, it, choose_child, &walk) ?: walk.err;
	} while (r >= 0 && walk.nr_new);
	if (r < 0 || !w->backend->refresh)
		return r;
	r = w->backend->refresh(w);
	return r < 0 ? fail(w->u, r, "looking for userfaultfds: %s", strerror(-r)) : 0;
}

struct live_walk {
	uint64_t *gone; /* processes that were not found yet */
	size_t nr, alloc;
};

static int meet(const void *arg_ev, void *arg)
{
	const struct ev_task *task = arg_ev;
	struct live_walk *walk = arg;

	for (size_t i = 0; i < walk->nr; i++)
		if (walk->gone[i] == task->process) {
			walk->gone[i] = walk->gone[--walk->nr];
			break;
		}
	return 0;
}

/* Remove processes that ended before the programs were attached: the programs do not remove them. */
static int drop_ended(struct uffdctl_watch *w, struct iter *it)
{
	_cleanup_free_ uint64_t *gone = NULL;
	struct live_walk walk = {};
	uint64_t key, *next;
	bool first = true;
	int r;

	while (bpf_map_get_next_key(w->processes_fd, first ? NULL : &key, &key) == 0) {
		first = false;
		next = vec_add(walk.gone, walk.nr, walk.alloc);
		gone = walk.gone;
		if (!next)
			return log_oom(w->u);
		*next = key;
	}
	r = each_process(w, it, meet, &walk);
	for (size_t i = 0; r >= 0 && i < walk.nr; i++)
		run_choose(w, walk.gone[i], 0, 0);
	return r;
}

int watch_complete_choice(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts)
{
	struct iter *it;
	int r = iter_get(w->u, &it);

	if (r >= 0 && opts->flags & UFFDCTL_WATCH_CHILDREN)
		r = choose_children(w, it);
	if (r >= 0 && opts->pids)
		r = drop_ended(w, it);
	return r;
}

UFFDCTL_EXPORT bool uffdctl_watch_ended(const struct uffdctl_watch *w)
{
	uint64_t key;

	return w->config.flags & EV_WATCH_SOME && bpf_map_get_next_key(w->processes_fd, NULL, &key) < 0 &&
	       errno == ENOENT;
}
