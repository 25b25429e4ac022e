// SPDX-License-Identifier: LGPL-2.1-or-later
/* process_vm_readv(2) and process_vm_writev(2) on memory of our own. */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/kernel/process_vm.h"

ssize_t process_vm_read_own(const void *from, void *buf, size_t len)
{
	struct iovec local = { buf, len }, remote = { (void *)from, len };
	ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n;
}

ssize_t process_vm_write_own(void *to, const void *buf, size_t len)
{
	struct iovec local = { (void *)buf, len }, remote = { to, len };
	ssize_t n = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n;
}
