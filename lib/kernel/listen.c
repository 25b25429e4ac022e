// SPDX-License-Identifier: LGPL-2.1-or-later
/* A Unix socket in the file system that others connect to (unix(7)). */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/kernel/listen.h"

#define BACKLOG 64

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* Nobody listens: it was left behind by somebody who was killed. */
static int remove_dead(const struct sockaddr_un *addr)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = new_socket();
	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno != ECONNREFUSED)
		return errno == EACCES || errno == EPERM ? -errno : -EADDRINUSE;
	return unlink(addr->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_it(int fd, const struct sockaddr_un *addr)
{
	return bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
}

int listen_open(const char *path, struct listen_place *ret)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = new_socket();
	struct stat st;
	int r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	if (fd < 0)
		return fd;
	/* What bind(2) makes has the mode that the socket has now: unix_bind_bsd() in net/unix/af_unix.c. */
	if (fchmod(fd, 0600) < 0)
		return -errno;
	r = bind_it(fd, &addr);
	if (r == -EADDRINUSE) {
		r = remove_dead(&addr);
		r = r < 0 ? r : bind_it(fd, &addr);
	}
	if (r < 0)
		return r;
	if (listen(fd, BACKLOG) < 0 || lstat(path, &st) < 0) {
		r = -errno;
		unlink(path);
		return r;
	}
	*ret = (struct listen_place){ st.st_dev, st.st_ino };
	return steal_fd(fd);
}

int listen_accept(int socket)
{
	int fd;

	do
		fd = accept4(socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	return fd < 0 ? -errno : fd;
}

void listen_remove(const char *path, const struct listen_place *place)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == place->dev && st.st_ino == place->ino)
		unlink(path);
}
