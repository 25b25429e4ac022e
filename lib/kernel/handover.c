// SPDX-License-Identifier: LGPL-2.1-or-later
/* Text and descriptors from a socket of the kind AF_UNIX (unix(7): SCM_RIGHTS, SO_PEERCRED). */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/kernel/handover.h"

int handover_peer(int socket, struct ucred *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0 ? -errno : 0;
}

static void take_fds(struct msghdr *msg, struct handover_part *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t nr = c->cmsg_len < CMSG_LEN(0) ? 0 : (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		if (nr > HANDOVER_MAX_FDS - ret->nr_fds)
			nr = HANDOVER_MAX_FDS - ret->nr_fds;
		memcpy(ret->fds + ret->nr_fds, CMSG_DATA(c), nr * sizeof(int));
		ret->nr_fds += nr;
	}
}

int handover_receive(int socket, struct handover_part *ret)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(HANDOVER_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = { ret->text, sizeof(ret->text) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t n;

	ret->nr_fds = ret->len = 0;
	do
		n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	take_fds(&msg, ret);
	ret->len = n;
	if (!(msg.msg_flags & MSG_CTRUNC) && (n || ret->nr_fds))
		return 0;
	handover_close(ret);
	return n || ret->nr_fds ? -E2BIG : -EPIPE;
}

void handover_close(struct handover_part *part)
{
	for (size_t i = 0; i < part->nr_fds; i++)
		cleanup_close(&part->fds[i]);
	part->nr_fds = 0;
}
