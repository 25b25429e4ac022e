// SPDX-License-Identifier: LGPL-2.1-or-later
/* An alarm: sleeps until a thread begins to wait on a userfaultfd, or none waits any more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "alarm.lskel.h"
#include "bpf/event.h"
#include "lib/kernel/bpf_print.h"
#include "lib/kernel/iter.h"
#include "lib/log.h"
#include "lib/opts.h"
#include "lib/util.h"

/* New userfaultfds are looked for at this interval while it sleeps. */
#define LOOK_NS UINT64_C(1000000000)

_Static_assert(EV_ALARM_WAITS == (int)UFFDCTL_ALARM_WAITS && EV_ALARM_NONE == (int)UFFDCTL_ALARM_NONE &&
		       EV_ALARM_GOES_ON == (int)UFFDCTL_ALARM_GOES_ON,
	       "the events of an alarm");

/* A memory, and the userfaultfds that govern it. */
struct governed {
	uint64_t mm;
	struct ev_ctxs set;
};

struct table {
	struct governed *rows;
	size_t nr, alloc;
};

struct uffdctl_alarm {
	struct uffdctl *u;
	struct alarm_bpf *skel;
	struct ring_buffer *ring;
	struct table known; /* as the program has it */
	pid_t *pids;	    /* NULL: all */
	size_t nr_pids;
	uint64_t looked_ns; /* when userfaultfds were looked for */
	bool rang;
};

/* ---- what is watched ---- */

/* The memories of the chosen processes, and what userfaultfds govern. */
struct look {
	const struct uffdctl_alarm *a;
	uint64_t *mms; /* of a->pids; 0: it has none */
	struct table *table;
};

static bool is_chosen(const struct look *l, const struct ev_file *ev)
{
	for (size_t i = 0; i < l->a->nr_pids; i++)
		if (ev->pid == (uint32_t)l->a->pids[i] || ev->mm == l->mms[i])
			return true;
	return !l->a->pids;
}

static struct governed *row_of(struct table *t, uint64_t mm)
{
	struct governed *g;

	for (size_t i = 0; i < t->nr; i++)
		if (t->rows[i].mm == mm)
			return &t->rows[i];
	g = vec_add(t->rows, t->nr, t->alloc);
	if (g)
		*g = (struct governed){ .mm = mm };
	return g;
}

static int note_file(const void *arg_ev, void *arg)
{
	const struct ev_file *ev = arg_ev;
	struct look *l = arg;
	struct governed *g;

	if (!ev->mm || !is_chosen(l, ev))
		return 0;
	g = row_of(l->table, ev->mm);
	if (!g)
		return -ENOMEM;
	for (size_t i = 0; i < EV_MAX_CTXS; i++) {
		if (g->set.ctx[i] == ev->ctx)
			return 0;
		if (!g->set.ctx[i]) {
			g->set.ctx[i] = ev->ctx;
			return 0;
		}
	}
	g->set.ctx[EV_MAX_CTXS - 1] = EV_MORE_CTXS;
	return 0;
}

/*
 * Processes that were given make their userfaultfds themselves: after the first look, it is enough to look at these,
 * and to keep what is known.
 */
static int find_files(const struct uffdctl_alarm *a, struct iter *it, struct look *l)
{
	int r = 0;

	if (!a->pids || !a->known.rows)
		return iter_files(it, 0, note_file, NULL, l);
	for (size_t i = 0; r >= 0 && i < a->known.nr; i++) {
		struct governed *g = row_of(l->table, a->known.rows[i].mm);

		r = g ? 0 : -ENOMEM;
		if (g)
			g->set = a->known.rows[i].set;
	}
	for (size_t i = 0; r >= 0 && i < a->nr_pids; i++)
		r = iter_files(it, a->pids[i], note_file, NULL, l);
	return r;
}

static int find_governed(const struct uffdctl_alarm *a, struct table *ret)
{
	_cleanup_free_ uint64_t *mms = calloc(a->nr_pids + 1, sizeof(*mms));
	struct look l = { a, mms, ret };
	struct ev_task task;
	struct iter *it;
	int r = iter_get(a->u, &it);

	if (r < 0 || !mms)
		return r < 0 ? r : -ENOMEM;
	for (size_t i = 0; i < a->nr_pids; i++)
		if (iter_find_task(it, a->pids[i], &task) >= 0)
			mms[i] = task.mm;
	return find_files(a, it, &l);
}

static const struct governed *find_row(const struct table *t, uint64_t mm)
{
	for (size_t i = 0; i < t->nr; i++)
		if (t->rows[i].mm == mm)
			return &t->rows[i];
	return NULL;
}

static void set_bits(struct alarm_bpf *skel, const struct table *t)
{
	uint64_t bits[EV_MM_BITS / 64] = {};

	for (size_t i = 0; i < t->nr; i++) {
		uint32_t bit = ev_mm_bit(t->rows[i].mm);

		bits[bit / 64] |= UINT64_C(1) << bit % 64;
	}
	memcpy(skel->bss->mm_bits, bits, sizeof(bits));
}

/* Bring the program's table up to date. Returns 1 if something is new, 0 or a negative errno. */
static int publish(struct uffdctl_alarm *a, struct table *now)
{
	int fd = a->skel->maps.governed.map_fd, news = 0;

	for (size_t i = 0; i < a->known.nr; i++)
		if (!find_row(now, a->known.rows[i].mm))
			bpf_map_delete_elem(fd, &a->known.rows[i].mm);
	for (size_t i = 0; i < now->nr; i++) {
		const struct governed *g = &now->rows[i], *old = find_row(&a->known, g->mm);

		if (old && !memcmp(&old->set, &g->set, sizeof(g->set)))
			continue;
		news = 1;
		if (bpf_map_update_elem(fd, &g->mm, &g->set, BPF_ANY) < 0)
			return fail(a->u, -errno, "alarm: userfaultfds govern more than %d memories", EV_MAX_GOVERNED);
	}
	set_bits(a->skel, now);
	free(a->known.rows);
	a->known = *now;
	*now = (struct table){};
	return news;
}

/* Look for userfaultfds. Returns as publish(). */
static int look(struct uffdctl_alarm *a)
{
	struct table now = {};
	int r;

	a->looked_ns = now_ns(CLOCK_MONOTONIC);
	r = find_governed(a, &now);
	r = r < 0 ? fail(a->u, r, "looking for userfaultfds: %s", strerror(-r)) : publish(a, &now);
	free(now.rows);
	return r;
}

/* ---- sleeping ---- */

static int on_alarm(void *arg, void *data, size_t size)
{
	struct uffdctl_alarm *a = arg;

	(void)data, (void)size;
	a->rang = true;
	return 0;
}

UFFDCTL_EXPORT int uffdctl_alarm_arm(struct uffdctl_alarm *a, enum uffdctl_alarm_event event)
{
	bool is_new = now_ns(CLOCK_MONOTONIC) - a->looked_ns < LOOK_NS;
	int r;

	/* What was told before counts no more. */
	__atomic_store_n(&a->skel->bss->armed, EV_ALARM_OFF, __ATOMIC_SEQ_CST);
	ring_buffer__consume(a->ring);
	a->rang = false;
	r = a->looked_ns && is_new ? 0 : look(a);
	__atomic_store_n(&a->skel->bss->armed, event, __ATOMIC_SEQ_CST);
	return r < 0 ? r : 0;
}

UFFDCTL_EXPORT int uffdctl_alarm_wait(struct uffdctl_alarm *a, uint64_t ns)
{
	uint64_t end = now_ns(CLOCK_MONOTONIC), now = end;
	int r;

	end = ns < UINT64_MAX - end ? end + ns : UINT64_MAX;
	do {
		uint64_t due = a->looked_ns + LOOK_NS, left = MIN(end - now, due > now ? due - now : 0);

		/* Round up: the caller is not to look before the time. */
		r = ring_buffer__poll(a->ring, (int)((left + 999999) / 1000000));
		if (r < 0)
			return r;
		now = now_ns(CLOCK_MONOTONIC);
		/* What began on a new userfaultfd was not seen. */
		if (a->rang || (now >= due && look(a) > 0))
			return 1;
		now = now_ns(CLOCK_MONOTONIC);
	} while (now < end);
	return 0;
}

/* ---- opening ---- */

static int start(struct uffdctl_alarm *a)
{
	struct iter *it;
	int r = iter_get(a->u, &it);

	if (r >= 0)
		r = iter_load_skel(alarm_bpf, &a->skel, (void)0);
	if (r < 0)
		return r;
	bpf_print_begin(a->u);
	a->ring = ring_buffer__new(a->skel->maps.alarms.map_fd, on_alarm, a, NULL);
	r = a->ring ? 0 : -errno;
	bpf_print_end();
	return r < 0 ? r : alarm_bpf__attach(a->skel);
}

UFFDCTL_EXPORT int uffdctl_alarm_open(struct uffdctl *u, const struct uffdctl_find_opts *opts,
				      struct uffdctl_alarm **ret)
{
	struct uffdctl_find_opts o;
	struct uffdctl_alarm *a;
	int r = OPTS_GET(u, opts, &o);

	if (r < 0 || o.source || o.flags)
		return r < 0 ? r : fail(u, -EINVAL, "an alarm has no source and no flags");
	a = calloc(1, sizeof(*a));
	if (!a)
		return log_oom(u);
	a->u = u;
	if (o.pids) {
		a->pids = calloc(o.nr_pids + 1, sizeof(*a->pids));
		a->nr_pids = o.nr_pids;
		r = a->pids ? 0 : log_oom(u);
	}
	if (r >= 0 && o.nr_pids && o.pids)
		memcpy(a->pids, o.pids, o.nr_pids * sizeof(*a->pids));
	r = r < 0 ? r : start(a);
	if (r < 0) {
		uffdctl_alarm_close(a);
		return r;
	}
	*ret = a;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_alarm_close(struct uffdctl_alarm *a)
{
	if (!a)
		return;
	ring_buffer__free(a->ring);
	if (a->skel)
		alarm_bpf__destroy(a->skel);
	free(a->known.rows);
	free(a->pids);
	free(a);
}
