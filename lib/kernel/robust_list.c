// SPDX-License-Identifier: LGPL-2.1-or-later
/* get_robust_list(2): where libc keeps a thread's list of robust mutexes, which is beside its TLS. */
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/kernel/robust_list.h"

uint64_t robust_list_head(pid_t tid)
{
	uint64_t head = 0;
	size_t len;

	return syscall(SYS_get_robust_list, tid, &head, &len) == 0 ? head : 0;
}
