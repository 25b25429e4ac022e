// SPDX-License-Identifier: LGPL-2.1-or-later
/* Watching faults: the backends, their totals, and their records made readable. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../bpf/event.h"
#include "watch_sched.lskel.h"

#include "list.h"
#include "log.h"
#include "pending.h"
#include "target.h"
#include "uapi.h"
#include "util.h"
#include "vma.h"

#define REFRESH_NS UINT64_C(1000000000)

struct memory {
	uint64_t mm;
	pid_t pid;
	struct uffdctl_maps *maps;
	uint64_t maps_ns; /* when they were read */
};

struct uffdctl_watch {
	struct uffdctl *u;
	const struct backend *backend;
	struct watch_sched_bpf *skel;
	struct ring_buffer *ring;
	uint64_t refreshed_ns, before;
	struct memory *memories;
	size_t nr_memories, memories_alloc;
	bool wanted_only;
	uffdctl_fault_fn fn;
	void *data;
	int nr_handed;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

UFFDCTL_EXPORT const char *uffdctl_end_name(enum uffdctl_end end)
{
	static const char *const names[] = { "woken", "signal", "released", "not_waited" };

	return (size_t)end < ARRAY_SIZE(names) ? names[end] : NULL;
}

/* ---- whose memory ---- */

struct mm_walk {
	uint64_t mm;
	pid_t pid;
};

static int find_pid(const void *arg_ev, void *arg)
{
	const struct ev_task *ev = arg_ev;
	struct mm_walk *walk = arg;

	if (ev->mm != walk->mm)
		return 0;
	walk->pid = ev->pid;
	return 1;
}

static struct memory *memory_of(struct uffdctl_watch *w, uint64_t mm)
{
	struct mm_walk walk = { .mm = mm };
	struct memory *m;
	struct iter *it;

	for (size_t i = 0; i < w->nr_memories; i++)
		if (w->memories[i].mm == mm)
			return &w->memories[i];
	if (iter_get(w->u, &it) == 0)
		iter_tasks(it, 0, find_pid, &walk);
	m = vec_add(w->memories, w->nr_memories, w->memories_alloc);
	if (m)
		*m = (struct memory){ .mm = mm, .pid = walk.pid };
	return m;
}

static void read_maps(struct uffdctl_watch *w, struct memory *m)
{
	struct uffdctl_target *t = NULL;
	int level = w->u->log_level;

	uffdctl_maps_free(m->maps);
	m->maps = NULL;
	m->maps_ns = now_ns();
	/* One that has ended leaves names unknown. */
	w->u->log_level = -1;
	if (m->pid && uffdctl_target_open(w->u, m->pid, &t) == 0)
		uffdctl_maps(t, UFFDCTL_SOURCE_BPF, 0, NULL, &m->maps);
	w->u->log_level = level;
	uffdctl_target_close(t);
}

static const struct uffdctl_vma *mapping_of(struct uffdctl_watch *w, struct memory *m, uint64_t addr)
{
	/* Mappings come and go: read again when one is missing, but not for each fault. */
	for (int tries = 0; tries < 2; tries++) {
		const struct uffdctl_vma *v = m->maps ? uffdctl_maps_get(m->maps, maps_find(m->maps, addr)) : NULL;

		if (v && v->range.start <= addr)
			return v;
		if (m->maps && now_ns() - m->maps_ns < REFRESH_NS)
			return NULL;
		read_maps(w, m);
	}
	return NULL;
}

/* ---- records ---- */

static const enum uffdctl_kind kinds[] = { UFFDCTL_KIND_MINOR, UFFDCTL_KIND_MISSING, UFFDCTL_KIND_WP,
					   UFFDCTL_KIND_RWP };

static int hand_out(void *arg, void *data, size_t size)
{
	struct uffdctl_watch *w = arg;
	const struct ev_fault *ev = data;
	struct memory *m = memory_of(w, ev->mm);
	const struct uffdctl_vma *v = m ? mapping_of(w, m, ev->addr) : NULL;
	struct uffdctl_fault f = {
		.start_ns = ev->start_ns,
		.wait_ns = ev->end_ns > ev->start_ns ? ev->end_ns - ev->start_ns : 0,
		.queue_ns = !ev->read_ns		 ? UFFDCTL_UNKNOWN
			    : ev->read_ns > ev->start_ns ? ev->read_ns - ev->start_ns
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
	w->nr_handed++;
	w->fn(w->data, &f);
	return 0;
}

/* ---- sched ---- */

/* As in bpf/watch_sched.bpf.c. */
#define SCHED_MAX_CTXS 4
#define SCHED_MAX_ALL_CTXS 64
#define SCHED_SLOT_BEFORE 3

struct sched_slot {
	uint32_t state, slept;
	uint64_t uwq;
	struct ev_fault f;
};

struct ctx_walk {
	struct uffdctl_watch *w;
	uint64_t ctxs[SCHED_MAX_ALL_CTXS];
	size_t nr;
};

static bool is_wanted(struct uffdctl_watch *w, uint64_t mm)
{
	uint32_t value;

	return !w->wanted_only || bpf_map_lookup_elem(w->skel->maps.wanted.map_fd, &mm, &value) == 0;
}

static int learn_ctx(const void *arg_ev, void *arg)
{
	const struct ev_file *ev = arg_ev;
	struct ctx_walk *walk = arg;
	uint64_t set[SCHED_MAX_CTXS] = {};
	int fd = walk->w->skel->maps.mms.map_fd;
	bool known = false;

	if (!ev->mm || !is_wanted(walk->w, ev->mm))
		return 0;
	for (size_t i = 0; i < walk->nr; i++)
		known |= walk->ctxs[i] == ev->ctx;
	if (!known && walk->nr < SCHED_MAX_ALL_CTXS)
		walk->ctxs[walk->nr++] = ev->ctx;

	bpf_map_lookup_elem(fd, &ev->mm, set);
	for (size_t i = 0; i < SCHED_MAX_CTXS; i++) {
		if (set[i] == ev->ctx)
			return 0;
		if (set[i])
			continue;
		set[i] = ev->ctx;
		return bpf_map_update_elem(fd, &ev->mm, set, BPF_ANY) < 0 ? -errno : 0;
	}
	/* A memory with more userfaultfds than there is room for: the eldest makes room. */
	memmove(set, set + 1, sizeof(set) - sizeof(set[0]));
	set[SCHED_MAX_CTXS - 1] = ev->ctx;
	return bpf_map_update_elem(fd, &ev->mm, set, BPF_ANY) < 0 ? -errno : 0;
}

/* New ones are learned by their UFFDIO_API at once; this finds those of fork, and what is gone. */
static int sched_refresh(struct uffdctl_watch *w)
{
	struct ctx_walk walk = { .w = w };
	struct iter *it;
	int r = iter_get(w->u, &it);

	if (r >= 0)
		r = iter_files(it, 0, learn_ctx, NULL, &walk);
	if (r < 0)
		return r;
	memcpy(w->skel->bss->ctxs, walk.ctxs, sizeof(walk.ctxs));
	w->skel->bss->nr_ctxs = walk.nr;
	if (walk.nr)
		w->skel->bss->active = 1;
	w->refreshed_ns = now_ns();
	return 0;
}

static int note_before(struct uffdctl_watch *w, const struct ev_waiter *ev)
{
	struct sched_slot slot = { .state = SCHED_SLOT_BEFORE };

	if (ev->queue == EV_EVENT || !is_wanted(w, ev->mm))
		return 0;
	w->skel->bss->nr_before = 1;
	/* A slot that is there was taken since we attached: that fault is counted. */
	if (bpf_map_update_elem(w->skel->maps.slots.map_fd, &ev->task, &slot, BPF_NOEXIST) == 0)
		w->before++;
	return 0;
}

static int visit_before(const struct ev_waiter *ev, void *arg)
{
	return note_before(arg, ev);
}

static int want_pids(struct uffdctl_watch *w, const pid_t *pids, size_t nr_pids)
{
	uint32_t one = 1;
	struct iter *it;
	uint64_t mm;
	int r;

	w->wanted_only = pids != NULL;
	w->skel->bss->wanted_only = w->wanted_only;
	for (size_t i = 0; i < nr_pids; i++) {
		r = iter_get(w->u, &it);
		if (r >= 0)
			r = list_find_mm(it, pids[i], &mm);
		if (r < 0)
			return fail(w->u, r == -ENOENT ? -ESRCH : r, "%d: no such process", pids[i]);
		if (bpf_map_update_elem(w->skel->maps.wanted.map_fd, &mm, &one, BPF_ANY) < 0)
			return -errno;
	}
	return 0;
}

static int sched_open(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts)
{
	struct iter *it;
	int r = iter_get(w->u, &it);

	if (r < 0)
		return r;
	r = iter_load_skel(watch_sched_bpf, &w->skel);
	if (r < 0)
		return r;
	w->skel->bss->userfaultfd_fops = iter_fops(it);
	w->skel->bss->level = iter_level(it);
	w->skel->bss->stream = opts->flags & UFFDCTL_WATCH_STREAM;
	r = want_pids(w, opts->pids, opts->nr_pids);
	if (r >= 0)
		r = sched_refresh(w);
	if (r >= 0)
		r = watch_sched_bpf__attach(w->skel);
	if (r >= 0)
		r = pending_visit(w->u, visit_before, w);
	return r < 0 ? r : 0;
}

static void sched_close(struct uffdctl_watch *w)
{
	if (w->skel)
		watch_sched_bpf__destroy(w->skel);
}

/* ---- the ladder ---- */

struct backend {
	const char *name;
	int (*open)(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts);
	void (*close)(struct uffdctl_watch *w);
	int (*refresh)(struct uffdctl_watch *w);
};

static const struct backend backends[] = {
	{ "sched", sched_open, sched_close, sched_refresh },
};

static int open_backend(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts)
{
	const char *name = opts->backend;
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		if (name && strcmp(name, backends[i].name))
			continue;
		w->backend = &backends[i];
		r = w->backend->open(w, opts);
		if (r >= 0 || r == -ESRCH)
			return r;
		w->backend->close(w);
		w->backend = NULL;
		if (name)
			return fail(w->u, r, "backend %s: %s", name, iter_why(r));
		log_debug(w->u, "backend %s: %s", backends[i].name, iter_why(r));
	}
	return fail(w->u, r, "%s", r == -EINVAL && name ? "no such backend" : iter_why(r));
}

UFFDCTL_EXPORT int uffdctl_watch_open(struct uffdctl *u, const struct uffdctl_watch_opts *opts,
				      struct uffdctl_watch **ret)
{
	struct uffdctl_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return log_oom(u);
	w->u = u;
	r = open_backend(w, opts);
	if (r >= 0 && opts->flags & UFFDCTL_WATCH_STREAM) {
		w->ring = ring_buffer__new(w->skel->maps.events.map_fd, hand_out, w, NULL);
		if (!w->ring)
			r = fail(u, -errno, "ring buffer: %s", strerror(errno));
	}
	if (r < 0) {
		uffdctl_watch_close(w);
		return r;
	}
	*ret = w;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_watch_close(struct uffdctl_watch *w)
{
	if (!w)
		return;
	ring_buffer__free(w->ring);
	if (w->backend)
		w->backend->close(w);
	for (size_t i = 0; i < w->nr_memories; i++)
		uffdctl_maps_free(w->memories[i].maps);
	free(w->memories);
	free(w);
}

UFFDCTL_EXPORT const char *uffdctl_watch_backend(const struct uffdctl_watch *w)
{
	return w->backend->name;
}

UFFDCTL_EXPORT int uffdctl_watch_poll(struct uffdctl_watch *w, int timeout_ms, uffdctl_fault_fn fn, void *data)
{
	struct timespec ts = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	int r = 0;

	if (now_ns() - w->refreshed_ns > REFRESH_NS)
		r = w->backend->refresh(w);
	if (r < 0)
		return fail(w->u, r, "looking for userfaultfds: %s", strerror(-r));
	w->fn = fn;
	w->data = data;
	w->nr_handed = 0;
	if (!w->ring)
		return nanosleep(&ts, NULL) < 0 ? -errno : 0;
	r = ring_buffer__poll(w->ring, timeout_ms);
	return r < 0 ? r : w->nr_handed;
}

UFFDCTL_EXPORT int uffdctl_watch_stats(struct uffdctl_watch *w, struct uffdctl_watch_stats *ret)
{
	int nr_cpus = libbpf_num_possible_cpus();
	struct uffdctl_watch_stats sum = { .before = w->before };
	_cleanup_free_ struct ev_stats *cpus = NULL;
	uint32_t zero = 0;
	uint64_t faults = 0, ended = 0;

	if (nr_cpus < 0)
		return nr_cpus;
	cpus = calloc(nr_cpus, sizeof(*cpus));
	if (!cpus)
		return log_oom(w->u);
	if (bpf_map_lookup_elem(w->skel->maps.stats.map_fd, &zero, cpus) < 0)
		return fail(w->u, -errno, "reading totals: %s", strerror(errno));
	for (int c = 0; c < nr_cpus; c++) {
		for (int i = 0; i < EV_NR_KINDS; i++)
			faults += cpus[c].faults[i], sum.faults[i] += cpus[c].faults[i];
		for (int i = 0; i < EV_NR_ENDS; i++)
			ended += cpus[c].ended[i], sum.ended[i] += cpus[c].ended[i];
		for (int i = 0; i < EV_NR_BUCKETS; i++)
			sum.buckets[i] += cpus[c].buckets[i];
		sum.blocked += cpus[c].blocked;
		sum.delivered += cpus[c].delivered;
		sum.lost_events += cpus[c].lost;
		sum.missed += cpus[c].missed;
		sum.max_wait_ns = MAX(sum.max_wait_ns, cpus[c].max_wait_ns);
	}
	/* CPUs are read one after the other, while they count on. */
	sum.pending = faults > ended ? faults - ended : 0;
	*ret = sum;
	return 0;
}
