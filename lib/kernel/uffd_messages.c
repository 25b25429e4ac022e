// SPDX-License-Identifier: LGPL-2.1-or-later
/* The messages of a userfaultfd (userfaultfd(2), Reading from the userfaultfd structure). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/kernel/uffd.h"
#include "lib/kernel/uffd_messages.h"
#include "lib/util.h"

int uffd_messages_init(int uffd, struct uffd_messages *ret)
{
	int flags = fcntl(uffd, F_GETFL);
	char byte;
	struct iovec iov = { &byte, 1 };

	if (flags < 0)
		return -errno;
	*ret = (struct uffd_messages){ .uffd = uffd, .nonblock = flags & O_NONBLOCK };
	/* fs/userfaultfd.c has read_iter since Linux 6.10. A read shorter than a message takes none. */
	if (!ret->nonblock)
		ret->nowait = preadv2(uffd, &iov, 1, -1, RWF_NOWAIT) < 0 && errno == EINVAL;
	return 0;
}

static int nr_read(ssize_t n)
{
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return (int)(n / (ssize_t)sizeof(struct uffd_msg));
}

int uffd_messages_read(const struct uffd_messages *m, struct uffd_msg *msgs, unsigned int room)
{
	struct iovec iov = { msgs, room * sizeof(*msgs) };

	return nr_read(m->nonblock ? read(m->uffd, msgs, iov.iov_len) : preadv2(m->uffd, &iov, 1, -1, RWF_NOWAIT));
}

int uffd_messages_wait(const struct uffd_messages *m, int stop, int timeout_ms, struct uffd_msg *msgs,
		       unsigned int room)
{
	struct pollfd p[] = { { .fd = m->uffd, .events = POLLIN }, { .fd = stop, .events = POLLIN } };

	if (!m->nonblock)
		return nr_read(read(m->uffd, msgs, room * sizeof(*msgs)));
	if (poll(p, ARRAY_SIZE(p), timeout_ms) < 0)
		return errno == EINTR ? 0 : -errno;
	return p[0].revents != 0;
}

/*
 * Pages that are registered nowhere (ENOENT), where user space ends, of a 64-bit process and, where the first one is
 * too high (EINVAL), of a 32-bit one.
 */
bool uffd_memory_is_gone(int uffd)
{
	static const uint64_t ends[] = { UINT64_C(0x7fffffffe000), UINT64_C(0xffffc000) };
	int r = -EINVAL;

	for (size_t i = 0; r == -EINVAL && i < ARRAY_SIZE(ends); i++) {
		uint64_t page = base_page_size(), start = round_down(ends[i], page), done;

		r = uffd_zeropage(uffd, (struct uffdctl_range){ start, start + page }, 0, &done);
	}
	return r == -ESRCH;
}
