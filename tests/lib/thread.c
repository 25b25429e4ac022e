// SPDX-License-Identifier: GPL-2.0-or-later
/* What a thread is in: its system call, and the address of a socket's peer. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <linux/vm_sockets.h>

#include "lib/kernel/socket.h"
#include "lib/kernel/syscall.h"
#include "tests/unit.h"

#define CALL(nr) nr " 0x3 0x2 0x0 0x0 0x0 0x0 0x7ffd00000000 0x7f0000000001\n"

TEST("thread-syscall")
{
	struct syscall_now s;
	char text[128];

	snprintf(text, sizeof(text), "%d 0x3 0x7ffd 0x20 0x0 0x0 0x0 0x7ffd00000000 0x7f0000000001\n", SYS_read);
	NUM(syscall_parse(text, &s), 0);
	NUM(s.nr, SYS_read);
	STR(syscall_name(&s), "read");
	NUM(syscall_fd(&s), 3);
	snprintf(text, sizeof(text), "%d 0x3 0x7ffd 0x20 0x0 0x0 0x0 0x7ffd00000000 0x7f0000000001\n", SYS_futex);
	NUM(syscall_parse(text, &s), 0);
	STR(syscall_name(&s), "futex");
	NUM(syscall_fd(&s), -1);
}

TEST("thread-syscall-none")
{
	static const char *const texts[] = { "running\n", "-1 0x7ffd00000000 0x7f0000000001\n" };
	struct syscall_now s;

	for
		EACH(texts)
		{
			NUM(syscall_parse(texts[i], &s), 0);
			NUM(s.nr, NO_SYSCALL);
			OK(!syscall_name(&s));
			NUM(syscall_fd(&s), -1);
		}
}

TEST("thread-syscall-unknown")
{
	static const char *const wrong[] = { "", "running", "0\n", "0 0x3\n", "x 0x0 0x0\n", "-1\n" };
	struct syscall_now s;

	for
		EACH(wrong)
	NUM(syscall_parse(wrong[i], &s), -EINVAL);
	NUM(syscall_parse(CALL("99999"), &s), 0);
	OK(!syscall_name(&s));
	NUM(syscall_fd(&s), -1);
}

/* Numbers of a 32-bit program are those of another table: its stack and its code are below 4 GiB. */
TEST("thread-syscall-compat")
{
	struct syscall_now s;

	NUM(syscall_parse("3 0x3 0x2 0x0 0x0 0x0 0x0 0xffd00000 0xf7f00001\n", &s), 0);
	NUM(s.nr, 3);
	OK(!syscall_name(&s));
	NUM(syscall_fd(&s), -1);
	NUM(syscall_parse("3 0x3 0x2 0x0 0x0 0x0 0x0 0x7ffd00000000 0x401001\n", &s), 0);
	OK(syscall_name(&s));
}

/* A descriptor that is none. */
TEST("thread-syscall-fd")
{
	struct syscall_now s = { .nr = SYS_read, .arg = UINT64_MAX };

	NUM(syscall_fd(&s), -1);
	s.arg = (uint64_t)INT32_MAX + 1;
	NUM(syscall_fd(&s), -1);
	s.arg = 0;
	NUM(syscall_fd(&s), 0);
}

static const char *address(const void *addr, socklen_t len)
{
	static char buf[64];
	struct sockaddr_storage copy = {};

	memcpy(&copy, addr, len);
	socket_address(&copy, len, buf, sizeof(buf));
	return buf;
}

TEST("thread-address-ip")
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(4444),
				  .sin_addr.s_addr = htonl(0x0a000001) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons(1),
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_cid = 2, .svm_port = 1024 };

	STR(address(&in, sizeof(in)), "10.0.0.1:4444");
	STR(address(&in, 4), "");
	STR(address(&in6, sizeof(in6)), "[::1]:1");
	STR(address(&vm, sizeof(vm)), "2:1024");
	STR(address(&in, 0), "");
}

TEST("thread-address-unix")
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/run/x" };
	socklen_t begin = offsetof(struct sockaddr_un, sun_path);

	STR(address(&un, sizeof(un)), "/run/x");
	STR(address(&un, begin + 3), "/ru");
	STR(address(&un, begin), "");
	memcpy(un.sun_path, "\0a\0b", 4);
	STR(address(&un, begin + 4), "@a@b");
	memset(un.sun_path, 'x', sizeof(un.sun_path));
	NUM(strlen(address(&un, sizeof(un))), 63);
}
