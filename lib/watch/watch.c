// SPDX-License-Identifier: LGPL-2.1-or-later
/* Watching faults: the backends, their totals, and their records made readable. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lib/inspect/segments.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/names.h"
#include "lib/kernel/target.h"
#include "lib/kernel/uapi.h"
#include "lib/kernel/vmflags.h"
#include "lib/kernel/waiters.h"
#include "lib/log.h"
#include "lib/util.h"
#include "lib/watch/watch.h"

#define MAX_HANDED 1024 /* in one call */
#define REFRESH_NS UINT64_C(1000000000)

UFFDCTL_EXPORT const char *uffdctl_end_name(enum uffdctl_end end)
{
	static const char *const names[] = { "woken", "signal", "released", "not_waited" };

	return (size_t)end < ARRAY_SIZE(names) ? names[end] : NULL;
}

/* ---- records ---- */

static const enum uffdctl_kind kinds[] = { UFFDCTL_KIND_MINOR, UFFDCTL_KIND_MISSING, UFFDCTL_KIND_WP,
					   UFFDCTL_KIND_RWP };

static int hand_out(void *arg, void *data, size_t size)
{
	struct uffdctl_watch *w = arg;
	const struct ev_fault *ev = data;
	struct watch_memory *m = watch_memory(w, ev);
	const struct uffdctl_vma *v = m ? watch_mapping(w, m, ev->addr, ev->end_ns) : NULL;
	struct uffdctl_fault f = {
		.start_ns = ev->start_ns,
		.wait_ns = ev->unmeasured	       ? UFFDCTL_UNKNOWN
			   : ev->end_ns > ev->start_ns ? ev->end_ns - ev->start_ns
						       : 0,
		.queue_ns = !ev->read_ns || ev->unmeasured ? UFFDCTL_UNKNOWN
			    : ev->read_ns > ev->start_ns   ? ev->read_ns - ev->start_ns
							   : 0,
		.addr = ev->addr,
		.ip = ev->ip ?: UFFDCTL_UNKNOWN,
		.pid = ev->pid,
		.tid = ev->tid,
		.target_pid = m ? m->pid : 0,
		.resolver_pid = ev->resolver_pid,
		.kind = kinds[ev->kind % ARRAY_SIZE(kinds)],
		.access = ev->flags & UFFD_PAGEFAULT_FLAG_WRITE ? UFFDCTL_ACCESS_WRITE : UFFDCTL_ACCESS_READ,
		.end = ev->end,
		.op = ev->op == EV_OP_NONE ? NULL : uffdctl_ioctl_name(ev->op),
		.name = v ? v->name : NULL,
		.offset = v && v->inode ? v->offset + (ev->addr - v->range.start) : UFFDCTL_UNKNOWN,
	};

	(void)size;
	memcpy(f.comm, ev->comm, sizeof(f.comm) - 1);
	memcpy(f.resolver_comm, ev->resolver_comm, sizeof(f.resolver_comm) - 1);
	w->fn(w->data, &f);
	/* A caller who is slower than the faults wants to come to an end all the same. */
	return ++w->nr_handed % MAX_HANDED ? 0 : -ECANCELED;
}

/* ---- what is wanted ---- */

bool watch_is_wanted(const struct uffdctl_watch *w, uint64_t mm)
{
	uint64_t nr_processes;

	return !w->config->some_only || bpf_map_lookup_elem(w->memories_fd, &mm, &nr_processes) == 0;
}

static int choose(struct uffdctl_watch *w, uint64_t process, uint64_t mm)
{
	struct ev_process p = { process, mm };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &p, .ctx_size_in = sizeof(p));
	int r = bpf_prog_test_run_opts(w->choose_fd, &opts);

	return r < 0 ? r : (int)opts.retval;
}

static int want(struct uffdctl_watch *w, const struct ev_task *task)
{
	int r = choose(w, task->process, task->mm);

	if (r == -E2BIG)
		return fail(w->u, r, "%d: there is room for 4096 processes", task->pid);
	/* Named twice, or its parent's fork was seen meanwhile. */
	return r == -EEXIST ? 0 : r < 0 ? fail(w->u, r, "%d: choosing it: %s", task->pid, strerror(-r)) : 0;
}

static int want_pids(struct uffdctl_watch *w, const pid_t *pids, size_t nr_pids)
{
	struct ev_task task;
	struct iter *it;
	int r = iter_get(w->u, &it);

	w->config->some_only = pids != NULL;
	for (size_t i = 0; r >= 0 && pids && i < nr_pids; i++) {
		r = iter_find_task(it, pids[i], &task);
		if (r < 0)
			return fail(w->u, r == -ENOENT ? -ESRCH : r, "%d: no such process", pids[i]);
		r = want(w, &task);
	}
	return r;
}

struct child_walk {
	struct uffdctl_watch *w;
	size_t nr_new;
};

static int want_child(const void *arg_ev, void *arg)
{
	const struct ev_task *task = arg_ev;
	struct child_walk *walk = arg;
	uint64_t value;

	if (bpf_map_lookup_elem(walk->w->processes_fd, &task->parent, &value) < 0 ||
	    bpf_map_lookup_elem(walk->w->processes_fd, &task->process, &value) == 0)
		return 0;
	walk->nr_new++;
	return want(walk->w, task);
}

/* Those that are there; the programs, attached by now, add the ones to come. */
static int want_children(struct uffdctl_watch *w)
{
	struct child_walk walk = { .w = w };
	struct iter *it;
	int r = iter_get(w->u, &it);

	while (r >= 0) {
		walk.nr_new = 0;
		r = iter_tasks(it, 0, want_child, &walk);
		if (!walk.nr_new)
			break;
	}
	return r >= 0 && w->backend->refresh ? w->backend->refresh(w) : r;
}

struct live_walk {
	uint64_t *gone; /* processes that were not met so far */
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

/* Those that ended before the programs were attached: nobody else takes them off the list. */
static int drop_ended(struct uffdctl_watch *w)
{
	_cleanup_free_ uint64_t *gone = NULL;
	struct live_walk walk = {};
	uint64_t key, *next;
	bool first = true;
	struct iter *it;
	int r = iter_get(w->u, &it);

	while (r >= 0 && bpf_map_get_next_key(w->processes_fd, first ? NULL : &key, &key) == 0) {
		first = false;
		next = vec_add(walk.gone, walk.nr, walk.alloc);
		gone = walk.gone;
		if (!next)
			return log_oom(w->u);
		*next = key;
	}
	if (r >= 0)
		r = iter_tasks(it, 0, meet, &walk);
	for (size_t i = 0; r >= 0 && i < walk.nr; i++)
		choose(w, walk.gone[i], 0);
	return r;
}

UFFDCTL_EXPORT bool uffdctl_watch_ended(const struct uffdctl_watch *w)
{
	uint64_t key;

	return w->config->some_only && bpf_map_get_next_key(w->processes_fd, NULL, &key) < 0 && errno == ENOENT;
}

static int find_governed(const void *arg_ev, void *arg)
{
	const struct ev_file *ev = arg_ev;
	struct uffdctl_watch *w = arg;

	return ev->mm && watch_is_wanted(w, ev->mm);
}

/* Somebody who took the wrong process waits for ever. */
static void say_if_idle(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts)
{
	struct iter *it;

	if (iter_get(w->u, &it) < 0 || iter_files(it, 0, find_governed, NULL, w))
		return;
	if (opts->nr_pids == 1)
		log_notice(w->u,
			   "%d: no userfaultfd governs its memory so far; uffdctl list shows where there are some",
			   opts->pids[0]);
	else
		log_notice(w->u, "no userfaultfd governs the memory of any of these processes so far; "
				 "uffdctl list shows where there are some");
}

static bool is_registered(const struct uffdctl_vma *v, uint64_t ctx, void *arg)
{
	(void)ctx, (void)arg;
	return v->modes;
}

static int want_ranges(struct uffdctl_watch *w, pid_t pid, const struct uffdctl_ranges *ranges)
{
	static const struct range_filter filter = { .all = is_registered, .glob_registered = true };
	_cleanup_(segments_free) struct segments segments = {};
	struct ev_watch_config *c = w->config;
	struct uffdctl_target *t = NULL;
	struct uffdctl_maps *maps = NULL;
	int r = uffdctl_target_open(w->u, pid, &t);

	if (r >= 0)
		r = uffdctl_maps(t, UFFDCTL_SOURCE_AUTO, UFFDCTL_MAPS_ALL, NULL, &maps);
	for (size_t i = 0; r >= 0 && i < ranges->nr; i++)
		r = range_resolve(t, maps, &ranges->specs[i], &filter, &segments);
	uffdctl_maps_free(maps);
	uffdctl_target_close(t);
	if (r < 0)
		return r;
	for (size_t i = 0; i < segments.nr; i++) {
		struct uffdctl_range next = segments.segs[i].range;

		/* Neighbours are one. */
		if (c->nr_ranges && c->ranges[c->nr_ranges - 1].end == next.start) {
			c->ranges[c->nr_ranges - 1].end = next.end;
			continue;
		}
		if (c->nr_ranges == EV_MAX_RANGES)
			return fail(w->u, -E2BIG, "%d: the ranges are more than %d pieces", pid, EV_MAX_RANGES);
		c->ranges[c->nr_ranges].start = next.start;
		c->ranges[c->nr_ranges++].end = next.end;
	}
	return 0;
}

static int configure(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts)
{
	const struct vmflags *flags;
	struct iter *it;
	int r = iter_get(w->u, &it);

	if (r >= 0)
		r = vmflags_get(w->u, it, &flags);
	if (r < 0)
		return r;
	w->config->fops = iter_fops(it);
	w->config->pid_ns = iter_pid_ns(it);
	w->config->level = iter_level(it);
	w->config->vm_minor = flags->mode_bits[2];
	w->config->vm_rwp = flags->mode_bits[3];
	w->config->stream = opts->flags & UFFDCTL_WATCH_STREAM;
	w->config->children = !!(opts->flags & UFFDCTL_WATCH_CHILDREN);
	w->config->kinds = opts->kinds >> UFFDCTL_KIND_MINOR;
	w->config->access = opts->access >> UFFDCTL_ACCESS_READ;
	if (opts->ranges && opts->nr_pids != 1)
		return fail(w->u, -EINVAL, "ranges are of one process: give its PID");
	r = want_pids(w, opts->pids, opts->nr_pids);
	return r < 0 || !opts->ranges ? r : want_ranges(w, opts->pids[0], opts->ranges);
}

/* Of a thread: the one that programs find, too. */
static struct ev_slot *find_slot(struct uffdctl_watch *w, uint64_t task)
{
	for (uint32_t i = 0; i < EV_MAX_PROBES; i++) {
		struct ev_slot *s = &w->slots[ev_slot_place(task, i)];

		if (__atomic_load_n(&s->task, __ATOMIC_SEQ_CST) == task)
			return s;
	}
	return NULL;
}

/* A place for a thread that has none; NULL: programs have given it one meanwhile, or there is no room. */
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

static int note_before(const struct ev_waiter *ev, void *arg)
{
	struct uffdctl_watch *w = arg;
	struct ev_slot *s;
	uint32_t *noted;

	if (ev->queue == EV_EVENT || !watch_is_wanted(w, ev->mm))
		return 0;
	if (w->backend->before)
		w->backend->before(w);
	s = find_slot(w, ev->task);
	if (!s) {
		s = take_place(w, ev->task);
		if (!s)
			return 0;
		s->f.ctx = ev->ctx;
	}
	/* One that is taken has shown since we attached: that fault is counted, but for one whose message was read. */
	if (!__sync_bool_compare_and_swap(&s->state, EV_IDLE, ev->queue == EV_DELIVERED ? EV_BEFORE_READ : EV_BEFORE) &&
	    __atomic_load_n(&s->state, __ATOMIC_SEQ_CST) != EV_BEFORE_READ)
		return 0;
	noted = vec_add(w->before, w->nr_before, w->before_alloc);
	if (!noted)
		return log_oom(w->u);
	*noted = s - w->slots;
	return 0;
}

static int note_all_before(struct uffdctl_watch *w)
{
	int r;

	w->slots = mmap(NULL, EV_NR_SLOTS * sizeof(struct ev_slot), PROT_READ | PROT_WRITE, MAP_SHARED, w->slots_fd, 0);
	if (w->slots == MAP_FAILED) {
		w->slots = NULL;
		return fail(w->u, -errno, "mapping the slots of threads: %s", strerror(errno));
	}
	r = waiters_find(w->u);
	if (r >= 0)
		r = waiters_visit(w->u, note_before, w);
	/* Of a queue that could not be walked whole, who waited before may look like one who came since. */
	w->config->all_seen = !waiters_torn(w->u, NULL, 0);
	return r;
}

static uint64_t before_left(const struct uffdctl_watch *w)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < w->nr_before; i++) {
		const struct ev_slot *s = &w->slots[w->before[i]];

		uint32_t state = s->state & EV_STATE_MASK;

		nr += s->task && (state == EV_BEFORE || state == EV_BEFORE_READ);
	}
	return nr;
}

/* ---- the ladder ---- */

static const struct watch_backend *const backends[] = { &watch_tracepoint, &watch_fentry, &watch_kprobe, &watch_sched };

static int open_backend(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts, const char **why)
{
	int r = w->backend->load(w, why);

	if (r < 0)
		return r;
	*why = "";
	r = configure(w, opts);
	if (r < 0)
		return r;
	w->began_ns = now_ns(CLOCK_MONOTONIC);
	return w->backend->attach(w, why);
}

static void close_backend(struct uffdctl_watch *w)
{
	if (w->skel)
		w->backend->unload(w);
	w->skel = NULL;
	w->backend = NULL;
}

/* The best that can be had, or the one that is asked for. */
static int climb(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts)
{
	const char *why = NULL;
	struct iter *it;
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		if (opts->backend && strcmp(opts->backend, backends[i]->name))
			continue;
		w->backend = backends[i];
		why = NULL;
		r = open_backend(w, opts, &why);
		/* Not the backend's failure, and logged. */
		if (r >= 0 || (why && !*why))
			return r;
		close_backend(w);
		/* The iterators could be loaded: it is not for want of privileges. */
		if (r == -EPERM && !why && iter_get(w->u, &it) >= 0)
			why = "this kernel denies programs of its type to everybody";
		if (opts->backend)
			return fail(w->u, r, "backend %s: %s", opts->backend, why ?: iter_why(r));
		log_debug(w->u, "backend %s: %s", backends[i]->name, why ?: iter_why(r));
	}
	return opts->backend ? fail(w->u, r, "%s: no such backend (tracepoint, fentry, kprobe, sched)", opts->backend)
			     : fail(w->u, r, "%s", why ?: iter_why(r));
}

static int open_stream(struct uffdctl_watch *w)
{
	w->ring = ring_buffer__new(w->events_fd, hand_out, w, NULL);
	return w->ring ? 0 : fail(w->u, -errno, "ring buffer: %s", strerror(errno));
}

UFFDCTL_EXPORT int uffdctl_watch_open(struct uffdctl *u, const struct uffdctl_watch_opts *opts,
				      struct uffdctl_watch **ret)
{
	struct uffdctl_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return log_oom(u);
	w->u = u;
	r = climb(w, opts);
	if (r >= 0 && opts->flags & UFFDCTL_WATCH_CHILDREN)
		r = want_children(w);
	if (r >= 0 && opts->pids)
		r = drop_ended(w);
	if (r >= 0)
		r = note_all_before(w);
	if (r >= 0 && opts->flags & UFFDCTL_WATCH_STREAM)
		r = open_stream(w);
	if (r < 0) {
		uffdctl_watch_close(w);
		return r;
	}
	if (opts->pids)
		say_if_idle(w, opts);
	*ret = w;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_watch_close(struct uffdctl_watch *w)
{
	if (!w)
		return;
	ring_buffer__free(w->ring);
	if (w->backend)
		close_backend(w);
	watch_memories_free(w);
	if (w->slots)
		munmap(w->slots, EV_NR_SLOTS * sizeof(struct ev_slot));
	free(w->before);
	free(w);
}

UFFDCTL_EXPORT const char *uffdctl_watch_backend(const struct uffdctl_watch *w)
{
	return w->backend->name;
}

UFFDCTL_EXPORT uint64_t uffdctl_watch_began_ns(const struct uffdctl_watch *w)
{
	return w->began_ns;
}

/* The programs wake nobody: the stream is looked at so often. */
#define LOOK_MS 50

UFFDCTL_EXPORT int uffdctl_watch_poll(struct uffdctl_watch *w, int timeout_ms, uffdctl_fault_fn fn, void *data)
{
	struct timespec ts = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	int r = 0;

	if (w->backend->refresh && now - w->refreshed_ns > REFRESH_NS) {
		w->refreshed_ns = now;
		r = w->backend->refresh(w);
		if (r < 0)
			return fail(w->u, r, "looking for userfaultfds: %s", strerror(-r));
	}
	w->fn = fn;
	w->data = data;
	w->nr_handed = 0;
	if (!w->ring)
		return nanosleep(&ts, NULL) < 0 ? -errno : 0;
	r = ring_buffer__consume(w->ring);
	for (; r == 0 && timeout_ms > 0; timeout_ms -= LOOK_MS) {
		r = ring_buffer__poll(w->ring, MIN(timeout_ms, LOOK_MS));
		if (r == 0)
			r = ring_buffer__consume(w->ring);
	}
	return r < 0 && r != -ECANCELED ? r : w->nr_handed;
}

/* ---- totals ---- */

static void add_cpu(struct ev_stats *sum, const struct ev_stats *cpu)
{
	for (int i = 0; i < EV_NR_KINDS; i++) {
		sum->faults[i] += cpu->faults[i];
		sum->messages[i] += cpu->messages[i];
		sum->marked[i] += cpu->marked[i];
	}
	for (int i = 0; i < EV_NR_ENDS; i++)
		sum->ended[i] += cpu->ended[i];
	for (int i = 0; i < EV_NR_BUCKETS; i++)
		sum->buckets[i] += cpu->buckets[i];
	sum->blocked += cpu->blocked;
	sum->delivered += cpu->delivered;
	sum->lost += cpu->lost;
	sum->missed += cpu->missed;
	sum->unmeasured += cpu->unmeasured;
	sum->max_wait_ns = MAX(sum->max_wait_ns, cpu->max_wait_ns);
}

static int read_stats(struct uffdctl_watch *w, struct ev_stats *ret)
{
	int nr_cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct ev_stats *cpus = NULL;
	uint32_t zero = 0;

	*ret = (struct ev_stats){};
	if (nr_cpus < 0)
		return nr_cpus;
	cpus = calloc(nr_cpus, sizeof(*cpus));
	if (!cpus)
		return log_oom(w->u);
	if (bpf_map_lookup_elem(w->stats_fd, &zero, cpus) < 0)
		return fail(w->u, -errno, "reading totals: %s", strerror(errno));
	for (int c = 0; c < nr_cpus; c++)
		add_cpu(ret, &cpus[c]);
	return 0;
}

/*
 * A fault is marked before its message is counted. So what was counted at one time and is not marked at a later one
 * are faults that showed in nothing else: neither asleep, nor woken, nor there when the reader's call ended. They may
 * become fewer again: a queue that changed under a reader's sign may have hidden a fault from it, which is marked when
 * it ends.
 */
static int add_unseen(struct uffdctl_watch *w, struct ev_stats *sum)
{
	struct ev_stats later;
	int r = read_stats(w, &later);

	if (r < 0)
		return r;
	for (int i = 0; i < EV_NR_KINDS; i++) {
		uint64_t unseen = sum->messages[i] > later.marked[i] ? sum->messages[i] - later.marked[i] : 0;

		sum->delivered += sum->marked[i];
		/* Of those that found no room messages are counted, too. */
		if (sum->missed)
			continue;
		sum->delivered += unseen;
		sum->faults[i] += unseen;
		sum->ended[EV_NOT_WAITED] += unseen;
		sum->unmeasured += unseen;
		sum->lost += w->config->stream ? unseen : 0;
	}
	return 0;
}

UFFDCTL_EXPORT int uffdctl_watch_stats(struct uffdctl_watch *w, struct uffdctl_watch_stats *ret)
{
	uint64_t faults = 0, ended = 0;
	struct ev_stats sum;
	int r = read_stats(w, &sum);

	if (r >= 0 && w->backend->marks)
		r = add_unseen(w, &sum);
	if (r < 0)
		return r;
	for (int i = 0; i < EV_NR_KINDS; i++)
		faults += sum.faults[i];
	for (int i = 0; i < EV_NR_ENDS; i++)
		ended += sum.ended[i];
	*ret = (struct uffdctl_watch_stats){
		.before = w->nr_before,
		.before_left = before_left(w),
		/* CPUs are read one after the other, while they count on. */
		.pending = faults > ended ? faults - ended : 0,
		.blocked = sum.blocked,
		.delivered = sum.delivered,
		.lost_events = sum.lost,
		.missed = sum.missed,
		.max_wait_ns = sum.max_wait_ns,
		.unknown_waits = sum.unmeasured,
	};
	if (w->backend->blocked_at_end)
		ret->blocked += ret->pending;
	memcpy(ret->faults, sum.faults, sizeof(ret->faults));
	memcpy(ret->ended, sum.ended, sizeof(ret->ended));
	memcpy(ret->buckets, sum.buckets, sizeof(ret->buckets));
	return 0;
}
