// SPDX-License-Identifier: LGPL-2.1-or-later
/* The peer of a socket: getpeername(2), SO_PEERCRED. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <linux/vm_sockets.h>

#include "lib/kernel/socket.h"
#include "lib/util.h"

static void unix_address(const struct sockaddr_un *un, socklen_t len, char *buf, size_t size)
{
	size_t begin = offsetof(struct sockaddr_un, sun_path),
	       n = len > begin ? MIN((size_t)len - begin, sizeof(un->sun_path)) : 0;
	/* An abstract name begins with a NUL, and may contain others: as in /proc/net/unix, they become @. */
	bool is_abstract = n && !un->sun_path[0];

	if (!is_abstract)
		n = strnlen(un->sun_path, n);
	n = MIN(n, size - 1);
	for (size_t i = 0; i < n; i++)
		buf[i] = un->sun_path[i] ?: '@';
	buf[n] = '\0';
}

void socket_address(const struct sockaddr_storage *addr, socklen_t len, char *buf, size_t size)
{
	const struct sockaddr_in *in = (const void *)addr;
	const struct sockaddr_in6 *in6 = (const void *)addr;
	const struct sockaddr_vm *vm = (const void *)addr;
	char text[INET6_ADDRSTRLEN];

	buf[0] = '\0';
	if (len < sizeof(sa_family_t))
		return;
	if (addr->ss_family == AF_UNIX)
		unix_address((const void *)addr, len, buf, size);
	else if (addr->ss_family == AF_INET && len >= sizeof(*in) &&
		 inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)))
		snprintf(buf, size, "%s:%u", text, ntohs(in->sin_port));
	else if (addr->ss_family == AF_INET6 && len >= sizeof(*in6) &&
		 inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)))
		snprintf(buf, size, "[%s]:%u", text, ntohs(in6->sin6_port));
	else if (addr->ss_family == AF_VSOCK && len >= sizeof(*vm))
		snprintf(buf, size, "%u:%u", vm->svm_cid, vm->svm_port);
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) ? -1 : value;
}

static const char *protocol_name(int fd, int family)
{
	switch (family) {
	case AF_UNIX:
		return "unix";
	case AF_INET:
	case AF_INET6:
		return option(fd, SO_PROTOCOL) == IPPROTO_TCP	? "tcp"
		       : option(fd, SO_PROTOCOL) == IPPROTO_UDP ? "udp"
								: "ip";
	case AF_VSOCK:
		return "vsock";
	case AF_NETLINK:
		return "netlink";
	default:
		return "other";
	}
}

void socket_describe(int fd, char *buf, size_t size, pid_t *ret_pid)
{
	struct sockaddr_storage addr = {};
	socklen_t len = sizeof(addr), cred_len;
	int family = option(fd, SO_DOMAIN);
	struct ucred cred = {};
	char text[128] = "";

	if (getpeername(fd, (struct sockaddr *)&addr, &len) == 0)
		socket_address(&addr, MIN(len, (socklen_t)sizeof(addr)), text, sizeof(text));
	/* Who connects to a Unix socket has no path: then both ends are known by the path of the one that listened. */
	len = sizeof(addr);
	if (family == AF_UNIX && !*text && getsockname(fd, (struct sockaddr *)&addr, &len) == 0)
		socket_address(&addr, MIN(len, (socklen_t)sizeof(addr)), text, sizeof(text));
	snprintf(buf, size, "%s%s%s", protocol_name(fd, family), *text ? " " : "", text);
	cred_len = sizeof(cred);
	*ret_pid = family == AF_UNIX && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) ? cred.pid : 0;
}
