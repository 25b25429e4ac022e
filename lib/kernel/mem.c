// SPDX-License-Identifier: LGPL-2.1-or-later
/* /proc/PID/mem: the memory of a process. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/kernel/mem.h"

int mem_open(struct uffdctl_target *t, int *ret)
{
	return target_open_file(t, "mem", O_RDONLY, ret);
}

int mem_read(int mem, uint64_t addr, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(mem, (char *)buf + done, len - done, (off_t)(addr + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ESRCH;
		done += (size_t)n;
	}
	return 0;
}
