// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: does another process read the messages? */
#include <errno.h>
#include <time.h>

#include "lib/drive/serve_reader.h"
#include "lib/kernel/iter.h"
#include "lib/log.h"

/*
 * Messages that were read and not resolved are a dead handler's, if nothing moves; those of one that lives, if
 * something does.
 */
static int check_delivered(struct uffdctl_handle *h)
{
	struct uffd_fdinfo before, now;
	int r = handle_fdinfo(h, &before);

	for (int i = 0; r >= 0 && i < 10; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 25 * 1000L * 1000 }, NULL);
		r = handle_fdinfo(h, &now);
		if (r >= 0 && (now.pending < before.pending || now.total < before.total))
			return fail(h->t->u, -EBUSY,
				    "%d: faults of fd %d are being resolved: another handler is at work, and a message is read only once; end it, or use --force",
				    h->pid, h->fd);
		before = now;
	}
	return r;
}

int serve_check_reader(struct uffdctl_handle *h)
{
	int reader = handle_reader(h);

	if (reader == READER_WAITING)
		return fail(h->t->u, -EBUSY,
			    "%d: a handler reads the messages of fd %d, and each message is read only once: suspend it with SIGSTOP (if it is the only holder, killing it unregisters everything), or use --force",
			    h->pid, h->fd);
	if (reader == READER_DELIVERED)
		return check_delivered(h);
	if (reader < 0)
		return fail(h->t->u, -EBUSY,
			    "%d: without BPF it is not known whether a handler reads the messages of fd %d: if none does, use --force%s",
			    h->pid, h->fd, iter_remedy(h->t->u));
	return 0;
}
