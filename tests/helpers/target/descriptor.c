// SPDX-License-Identifier: GPL-2.0-or-later
/* Descriptors, also those in flight over a socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/helpers/target/commands.h"
#include "tests/helpers/target/request.h"

/* @fd: goes with it, unless that is -1 */
static int send_text(int to, const char *text, size_t len, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { .iov_base = (char *)text, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (fd < 0)
		msg.msg_controllen = 0;
	return sendmsg(to, &msg, MSG_NOSIGNAL) != (ssize_t)len ? fail_errno("sendmsg") : 0;
}

/* Puts a userfaultfd in flight over a socket: in no process's table once it is closed here. */
static int cmd_send_uffd(struct json_object *req, struct json_object *res)
{
	int fd, pair[2], err = need_uffd(req, &fd);

	if (err)
		return err;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return fail_errno("socket");
	put_int(res, "socket", pair[1]);
	return send_text(pair[0], "", 1, fd);
}

/* As a VMM hands its userfaultfd over; without one, only the text. */
static int cmd_send(struct json_object *req, struct json_object *res)
{
	const char *text = arg_str(req, "text", "");

	(void)res;
	return send_text(arg_int(req, "fd", -1), text, strlen(text), arg_int(req, "uffd", -1));
}

static int cmd_recv_uffd(struct json_object *req, struct json_object *res)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(arg_int(req, "socket", -1), &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
		return fail_errno("socket");
	if (!CMSG_FIRSTHDR(&msg))
		return fail(ENOENT, "no descriptor came");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	put_int(res, "fd", fd);
	return 0;
}

static int cmd_close(struct json_object *req, struct json_object *res)
{
	(void)res;
	return close(arg_int(req, "fd", -1)) ? fail_errno("close") : 0;
}

static int cmd_dup(struct json_object *req, struct json_object *res)
{
	int fd = fcntl(arg_int(req, "fd", -1), F_DUPFD_CLOEXEC, 3);

	put_int(res, "fd", fd);
	return fd < 0 ? fail_errno("dup") : 0;
}

static int cmd_open_files(struct json_object *req, struct json_object *res)
{
	struct rlimit limit;

	(void)res;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < arg_int(req, "n", 1); i++)
		if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
			return fail_errno("/dev/null");
	return 0;
}

static int cmd_pipe(struct json_object *req, struct json_object *res)
{
	int pair[2];

	(void)req;
	if (pipe2(pair, O_CLOEXEC))
		return fail_errno("pipe");
	put_int(res, "fd", pair[0]);
	put_int(res, "other", pair[1]);
	return 0;
}

/* To a TCP port of this machine, or to a Unix socket. */
static int cmd_connect(struct json_object *req, struct json_object *res)
{
	const char *path = arg_str(req, "path", "");
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(arg_int(req, "port", 0)) };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(*path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (fd < 0 ||
	    (*path ? connect(fd, (struct sockaddr *)&un, sizeof(un)) : connect(fd, (struct sockaddr *)&in, sizeof(in))))
		return fail_errno("connect");
	put_int(res, "fd", fd);
	return 0;
}

const struct command descriptor_commands[] = {
	{ "send_uffd", cmd_send_uffd, "uffd" },
	{ "send", cmd_send, "fd text uffd" },
	{ "recv_uffd", cmd_recv_uffd, "socket" },
	{ "close", cmd_close, "fd" },
	{ "dup", cmd_dup, "fd" },
	{ "open_files", cmd_open_files, "n" },
	{ "pipe", cmd_pipe, "" },
	{ "connect", cmd_connect, "port path" },
	{},
};
