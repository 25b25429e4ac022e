// SPDX-License-Identifier: GPL-2.0-or-later
/* What a thread is in: its system call, and the address of a socket's peer, which the peer chooses. */
#include "fuzz.h"
#include "lib/kernel/socket.h"
#include "lib/kernel/syscall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_storage *addr = calloc(1, sizeof(*addr));
	char *text = text_of(data, size), buf[SOCKET_TEXT_BYTES];
	struct syscall_now s;

	if (syscall_parse(text, &s) == 0)
		ENSURE(s.nr >= NO_SYSCALL && syscall_fd(&s) >= -1 && (syscall_name(&s) || syscall_fd(&s) == -1));
	ENSURE(addr);
	if (size > sizeof(*addr))
		size = sizeof(*addr);
	memcpy(addr, data, size);
	socket_address(addr, size, buf, sizeof(buf));
	ENSURE(strlen(buf) < sizeof(buf));
	socket_address(addr, size, buf, 4);
	ENSURE(strlen(buf) < 4);
	free(addr);
	free(text);
	return 0;
}
