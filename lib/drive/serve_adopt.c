// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: who was the handler before us, and what it has left. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/drive/serve_adopt.h"
#include "lib/log.h"

/* ---- the threads of others ---- */

/* Those that wait on the target's userfaultfds, and who can resolve that. NULL: not known, which is logged. */
static struct uffdctl_pending *find_handlers(const struct uffdctl_handle *h)
{
	const struct uffdctl_find_opts opts = {
		.size = sizeof(opts), .pids = &h->t->pid, .nr_pids = 1, .flags = UFFDCTL_FIND_HANDLERS
	};
	struct uffdctl_pending *p = NULL;

	return uffdctl_pending(h->t->u, &opts, &p) < 0 ? NULL : p;
}

static bool is_other(const struct uffdctl_handler *d, const struct uffdctl_pending *p, const struct uffdctl_handle *h)
{
	return d->pid != getpid() && d->ctx == list_ctx(uffdctl_pending_list(p), h->uffd_id);
}

static char *describe(const struct uffdctl_handler *d)
{
	char *text;

	return asprintf(&text, "thread %d (%.*s) of process %d", d->tid, (int)sizeof(d->comm), d->comm, d->pid) < 0
		       ? NULL
		       : text;
}

static char *name_holders(struct uffdctl_handle *h)
{
	const struct uffdctl_list *all = handle_named(h);
	_cleanup_free_ char *holders = all ? list_holders(all, list_ctx(all, h->uffd_id)) : NULL;
	char *text;

	return !holders || asprintf(&text, "one of its holders (%s)", holders) < 0 ? NULL : text;
}

char *adopt_name_reader(struct uffdctl_handle *h)
{
	struct uffdctl_pending *p = find_handlers(h);
	char *text = NULL;

	for (size_t i = 0; p && !text && i < uffdctl_pending_handlers(p); i++) {
		const struct uffdctl_handler *d = uffdctl_pending_handler(p, i);

		if (is_other(d, p, h) && d->role == UFFDCTL_ROLE_READER)
			text = describe(d);
	}
	uffdctl_pending_free(p);
	return text ?: name_holders(h);
}

/* ---- what it has left ---- */

/* One that does not run now may go on later. */
static void report_handlers(const struct uffdctl_serve *s)
{
	struct uffdctl_pending *p = find_handlers(s->h);

	for (size_t i = 0; p && i < uffdctl_pending_handlers(p); i++) {
		const struct uffdctl_handler *d = uffdctl_pending_handler(p, i);
		_cleanup_free_ char *name = describe(d);

		if (is_other(d, p, s->h) && d->pid != s->h->t->pid)
			log_warning(s->h->t->u,
				    "%d: %s has not ended (state %s), and holds fd %d of this userfaultfd: if it goes on, it resolves what it has read, and takes messages from us: end it",
				    s->h->t->pid, name ?: "a handler", d->state, d->fd);
	}
	uffdctl_pending_free(p);
}

/* Who asked for it hears also that there is nothing. */
static void report_waiters(const struct uffdctl_serve *s)
{
	bool dry = s->opts.flags & UFFDCTL_SERVE_DRY_RUN;
	struct uffdctl *u = s->h->t->u;
	pid_t pid = s->h->t->pid;

	if (s->put_back == 1)
		log_notice(u, "%d: 1 thread waits whose message another handler has read: it %s put back", pid,
			   dry ? "would be" : "is");
	else if (s->put_back)
		log_notice(u, "%d: %" PRIu64 " threads wait whose messages another handler has read: these %s put back",
			   pid, s->put_back, dry ? "would be" : "are");
	else if (s->opts.flags & UFFDCTL_SERVE_ADOPT)
		log_notice(u, "%d: no thread waits whose message another handler has read", pid);
}

int adopt_look(struct uffdctl_serve *s)
{
	struct uffd_fdinfo info;
	int r = handle_fdinfo(s->h, &info);

	if (r < 0)
		return fail(s->h->t->u, r, "%d: what waits on fd %d can't be read: %s", s->h->pid, s->h->fd,
			    strerror(-r));
	s->put_back = info.total > info.pending ? info.total - info.pending : 0;
	if (s->put_back)
		report_handlers(s);
	report_waiters(s);
	return 0;
}
