// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: ranges that are registered for as long as they are served. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "lib/drive/serve_grown.h"
#include "lib/drive/serve_register.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"

struct registering {
	struct uffdctl_serve *s;
	const struct uffdctl_maps *before;
	int err;
};

/* Each result is about one mapping, or a part of it. */
static void on_result(void *data, const struct uffdctl_result *res)
{
	struct registering *reg = data;
	struct uffdctl_serve *s = reg->s;
	const struct uffdctl_vma *v = maps_at(reg->before, res->range.start);
	struct uffdctl_range *own;

	if (res->error) {
		reg->err = fail(s->h->t->u, res->error, "%d: %" PRIx64 "-%" PRIx64 ": registering: %s", s->h->t->pid,
				res->range.start, res->range.end, res->error_text);
		return;
	}
	if (s->opts.flags & UFFDCTL_SERVE_DRY_RUN || (v && v->modes))
		return;
	own = vec_add(s->own, s->nr_own, s->own_alloc);
	if (own)
		*own = res->range;
	else
		reg->err = log_oom(s->h->t->u);
	/* The next ones may find room; this one is not to stay. */
	if (!own) {
		uffd_unregister(s->h->uffd, res->range);
		uffd_wake(s->h->uffd, res->range);
	}
}

int serve_register(struct uffdctl_serve *s, const struct uffdctl_ranges *ranges)
{
	const struct uffdctl_action_opts opts = {
		.size = sizeof(opts),
		.flags = UFFDCTL_ACTION_HANDLED | (s->opts.flags & UFFDCTL_SERVE_DRY_RUN ? UFFDCTL_ACTION_DRY_RUN : 0),
		.result = on_result,
		.data = &(struct registering){ .s = s },
	};
	struct registering *reg = opts.data;
	struct uffdctl_maps *before;
	int r = handle_maps(s->h, &before);

	if (r < 0)
		return r;
	reg->before = before;
	r = uffdctl_register(s->h, ranges, s->opts.register_modes, &opts);
	uffdctl_maps_free(before);
	return reg->err ?: r;
}

/* ---- unregistering ---- */

struct unregistering {
	const struct uffdctl_serve *s;
	const struct uffdctl_range *ranges; /* by address */
	size_t nr, next;		    /* the next one: those before it end before the mapping */
	bool grown;			    /* and what has grown from them */
};

static int unregister_mapping(const struct maps_line *l, void *arg)
{
	struct unregistering *un = arg;

	while (un->next < un->nr && un->ranges[un->next].end <= l->range.start)
		un->next++;
	for (size_t i = un->next; i < un->nr && un->ranges[i].start < l->range.end; i++) {
		struct uffdctl_range r = range_common(l->range, un->ranges[i]);
		int err;

		if (un->grown)
			r = grown_range(un->s, r, l->range);
		err = uffd_unregister(un->s->h->uffd, r);
		uffd_wake(un->s->h->uffd, r);
		/* EINVAL: memory that has come there since then, and that can't be registered. */
		if (err < 0 && err != -EINVAL)
			return err;
	}
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct uffdctl_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* By mapping: the ioctl does nothing in a range where there also is something that can't be registered. */
static int unregister_ranges(const struct uffdctl_serve *s, struct uffdctl_range *ranges, size_t nr)
{
	struct unregistering un = { s, ranges, nr, 0, s->serves_grown };
	int fd = openat(s->h->t->procfd, "maps", O_RDONLY | O_CLOEXEC);
	int r;

	qsort(ranges, nr, sizeof(*ranges), by_address);
	r = proc_each_mapping(fd < 0 ? -errno : fd, unregister_mapping, &un);

	return r == -ENOMEM || r == -ESRCH || r == -ENOENT || uffd_memory_is_gone(s->h->uffd) ? 0 : r;
}

int serve_unregister(struct uffdctl_serve *s)
{
	int r = s->nr_own ? unregister_ranges(s, s->own, s->nr_own) : 0;

	s->nr_own = 0;
	return r;
}

int serve_unregister_parts(const struct serve_memory *m)
{
	_cleanup_free_ struct uffdctl_range *ranges = calloc(m->nr + 1, sizeof(*ranges));

	if (!ranges)
		return -ENOMEM;
	for (size_t i = 0; i < m->nr; i++)
		ranges[i] = m->parts[i]->part->seg.range;
	return unregister_ranges(m->s, ranges, m->nr);
}

/* It was made for us, and the process has not kept it. */
static bool is_ours_alone(const struct uffdctl_serve *s)
{
	return s->h->is_new && s->h->pid == getpid();
}

void serve_register_end(struct uffdctl_serve *s, enum uffdctl_serve_end end)
{
	pid_t pid = s->h->t->pid;
	int r;

	if (end == UFFDCTL_SERVE_STOPPED && !s->fills) {
		r = serve_unregister(s);
		if (r < 0)
			serve_note(s, UFFDCTL_LOG_ERROR, r, serve_nowhere,
				   "%d: unregistering: %s: threads that fault there will wait: type uffdctl unregister %d all",
				   pid, strerror(-r), pid);
	} else if (end == UFFDCTL_SERVE_STOPPED && s->nr_own && is_ours_alone(s)) {
		if (s->done_bytes + s->already_bytes < s->total_bytes)
			serve_note(s, UFFDCTL_LOG_WARNING, 0, serve_nowhere,
				   "%d: nobody else holds the userfaultfd: the process goes on with what is there, or zeros, for %" PRIu64
				   " bytes that were not filled",
				   pid, s->total_bytes - s->done_bytes - s->already_bytes);
	} else if (s->nr_own && (end == UFFDCTL_SERVE_STOPPED ||
				 (end == UFFDCTL_SERVE_FAILED && s->opts.on_error != UFFDCTL_ON_ERROR_KILL &&
				  s->opts.on_error != UFFDCTL_ON_ERROR_RELEASE))) {
		serve_note(s, UFFDCTL_LOG_WARNING, 0, serve_nowhere,
			   "%d: the ranges stay registered, and threads that fault there wait: serve them again with uffdctl serve, or let the process go on with what is there, or zeros, with uffdctl unregister %d all",
			   pid, pid);
	}
	s->nr_own = 0;
}
