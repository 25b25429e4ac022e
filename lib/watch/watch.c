// SPDX-License-Identifier: LGPL-2.1-or-later
/* Watching faults, with the best available backend. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <bpf/libbpf.h>

#include "lib/kernel/bpf_print.h"
#include "lib/kernel/iter.h"
#include "lib/log.h"
#include "lib/opts.h"
#include "lib/util.h"
#include "lib/watch/watch.h"

#define REFRESH_NS UINT64_C(1000000000)

/* Best first. */
static const struct watch_backend *const backends[] = { &watch_tracepoint, &watch_fentry, &watch_kprobe, &watch_sched };

static void close_backend(struct uffdctl_watch *w)
{
	if (w->skel)
		w->backend->close(w);
	w->skel = NULL;
	w->backend = NULL;
}

/* Why the backend is not available. */
static const char *reason(struct uffdctl_watch *w, int err, const char *why)
{
	struct iter *it;

	if (why)
		return why;
	/* The iterators could be loaded: privileges are not the reason. */
	if (iter_get(w->u, &it) >= 0 && err == -EPERM)
		return "this kernel denies programs of its type to everybody";
	if (iter_get(w->u, &it) >= 0 && err == -ENOENT)
		return "this kernel lacks something that its programs need";
	return iter_why(w->u, err);
}

/*
 * Positive: it watches. 0: not available, because of *err and *why. A negative errno: no other backend would work;
 * logged.
 */
static int try_backend(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts, int *err, const char **why)
{
	int r;

	*why = NULL;
	w->config.flags &= ~EV_WATCH_STEPS;
	if (w->backend->flags & WATCH_STEPS)
		w->config.flags |= EV_WATCH_STEPS;
	*err = w->backend->probe(w, why);
	if (*err < 0)
		return 0;
	r = watch_choose(w, opts);
	if (r < 0)
		return r;
	w->began_ns = now_ns(CLOCK_MONOTONIC);
	*err = w->backend->open(w, why);
	return *err >= 0;
}

/* Open the best available backend, or the given one. */
static int open_backend(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts)
{
	const char *why = NULL;
	int r, err = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		if (opts->backend && strcmp(opts->backend, backends[i]->name))
			continue;
		w->backend = backends[i];
		r = try_backend(w, opts, &err, &why);
		if (r)
			return r;
		close_backend(w);
		why = reason(w, err, why);
		if (opts->backend)
			return fail(w->u, err, "backend %s: %s", opts->backend, why);
		log_info(w->u, "backend %s: %s", backends[i]->name, why);
	}
	return opts->backend ? fail(w->u, err, "%s: no such backend (tracepoint, fentry, kprobe, sched)", opts->backend)
			     : fail(w->u, err, "no backend is available; %s: %s",
				    backends[ARRAY_SIZE(backends) - 1]->name, why);
}

static int open_stream(struct uffdctl_watch *w)
{
	bpf_print_begin(w->u);
	w->ring = ring_buffer__new(w->events_fd, watch_hand_out, w, NULL);
	bpf_print_end();
	return w->ring ? 0 : fail(w->u, -errno, "ring buffer: %s", strerror(errno));
}

static int open_watch(struct uffdctl *u, const struct uffdctl_watch_opts *opts, struct uffdctl_watch **ret)
{
	struct uffdctl_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return log_oom(u);
	w->u = u;
	r = watch_configure(w, opts);
	if (r >= 0)
		r = open_backend(w, opts);
	if (r >= 0)
		r = watch_complete_choice(w, opts);
	if (r >= 0)
		r = watch_note_before(w);
	if (r >= 0 && opts->flags & UFFDCTL_WATCH_STREAM)
		r = open_stream(w);
	if (r < 0) {
		uffdctl_watch_close(w);
		return r;
	}
	*ret = w;
	return 0;
}

OPTS_CHECK(uffdctl_watch_opts, flags);

UFFDCTL_EXPORT int uffdctl_watch_open(struct uffdctl *u, const struct uffdctl_watch_opts *opts,
				      struct uffdctl_watch **ret)
{
	struct uffdctl_watch_opts o;
	int r = OPTS_GET(u, opts, &o);

	if (r < 0)
		return r;
	if (o.flags & ~(UFFDCTL_WATCH_STREAM | UFFDCTL_WATCH_CHILDREN) || o.modes >> EV_NR_KINDS ||
	    o.access > UFFDCTL_ACCESS_WRITE)
		return fail(u, -EINVAL, "uffdctl_watch_open: unknown flags, modes or access");
	return open_watch(u, &o, ret);
}

UFFDCTL_EXPORT void uffdctl_watch_close(struct uffdctl_watch *w)
{
	if (!w)
		return;
	ring_buffer__free(w->ring);
	if (w->backend)
		close_backend(w);
	watch_memories_free(w);
	watch_before_free(w);
	watch_tally_free(w);
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

/* The programs wake us only when much is in the stream: poll it this often. */
#define LOOK_MS 50

static int read_stream(struct uffdctl_watch *w, int timeout_ms)
{
	int r = ring_buffer__consume(w->ring);

	for (; r == 0 && timeout_ms > 0; timeout_ms -= LOOK_MS) {
		r = ring_buffer__poll(w->ring, MIN(timeout_ms, LOOK_MS));
		if (r == 0)
			r = ring_buffer__consume(w->ring);
	}
	return r < 0 && r != -ECANCELED ? r : w->nr_handed;
}

UFFDCTL_EXPORT int uffdctl_watch_poll(struct uffdctl_watch *w, int timeout_ms, uffdctl_fault_fn fn, void *data)
{
	struct timespec ts = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	int r;

	if (w->backend->refresh && now - w->refreshed_ns > REFRESH_NS) {
		w->refreshed_ns = now;
		r = w->backend->refresh(w);
		if (r < 0)
			return fail(w->u, r, "looking for userfaultfds: %s", strerror(-r));
	}
	w->fn = fn;
	w->data = data;
	w->nr_handed = 0;
	if (w->ring)
		return read_stream(w, timeout_ms);
	return nanosleep(&ts, NULL) < 0 ? -errno : 0;
}
