// SPDX-License-Identifier: LGPL-2.1-or-later
/* Listens for processes that hand their userfaultfds over. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kernel/listen.h"
#include "lib/log.h"
#include "lib/util.h"

struct uffdctl_listener {
	struct uffdctl *u;
	int socket;
	char *path;
	struct listen_place place;
};

static int fail_listen(struct uffdctl *u, int err, const char *path)
{
	_cleanup_free_ char *name = escaped(path);

	switch (err) {
	case -EADDRINUSE:
		return fail(u, err, "%s: somebody listens on this socket already: use another one", name);
	case -EEXIST:
		return fail(u, err, "%s: exists and is no socket: it is not replaced", name);
	case -ENAMETOOLONG:
		return fail(u, err, "%s: the path of a socket has at most 107 bytes", name);
	default:
		return fail(u, err, "%s: listening: %s", name, strerror(-err));
	}
}

UFFDCTL_EXPORT int uffdctl_handoff_listen(struct uffdctl *u, const char *path, struct uffdctl_listener **ret)
{
	struct uffdctl_listener *l = calloc(1, sizeof(*l));

	if (l)
		l->path = strdup(path);
	if (!l || !l->path) {
		free(l);
		return log_oom(u);
	}
	l->u = u;
	l->socket = listen_open(path, &l->place);
	if (l->socket < 0) {
		int r = fail_listen(u, l->socket, path);

		free(l->path);
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

UFFDCTL_EXPORT int uffdctl_handoff_accept(struct uffdctl_listener *l, struct uffdctl_handoff **ret)
{
	int fd = listen_accept(l->socket), r;

	if (fd == -EAGAIN)
		return 0;
	if (fd < 0)
		return fail(l->u, fd, "%s: accepting a connection: %s", l->path, strerror(-fd));
	r = uffdctl_handoff_begin(l->u, fd, ret);
	if (r < 0)
		close(fd);
	return r < 0 ? r : 1;
}

UFFDCTL_EXPORT int uffdctl_handoff_listener_socket(const struct uffdctl_listener *l)
{
	return l->socket;
}

UFFDCTL_EXPORT void uffdctl_handoff_unlisten(struct uffdctl_listener *l)
{
	if (!l)
		return;
	listen_remove(l->path, &l->place);
	cleanup_close(&l->socket);
	free(l->path);
	free(l);
}
