// SPDX-License-Identifier: LGPL-2.1-or-later
/* The ioctls of a userfaultfd (ioctl_userfaultfd(2)), each as a function that returns 0 or a negative errno. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/kernel/uffd.h"
#include "lib/util.h"

static int create_by_device(int flags)
{
	_cleanup_close_ int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	return dev < 0 ? -1 : ioctl(dev, USERFAULTFD_IOC_NEW, flags);
}

int uffd_create_by(enum uffd_way way, int *ret)
{
	int flags = O_CLOEXEC | O_NONBLOCK, fd;

	if (way == UFFD_BY_DEVICE)
		fd = create_by_device(flags);
	else
		fd = syscall(SYS_userfaultfd, flags | (way == UFFD_USER_MODE ? UFFD_USER_MODE_ONLY : 0));
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

int uffd_create(int *ret)
{
	int r = -ENOSYS;

	for (enum uffd_way way = 0; r < 0 && way < UFFD_NR_WAYS; way++)
		r = uffd_create_by(way, ret);
	return r;
}

int uffd_handshake(int uffd, uint64_t features, uint64_t *ret_features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	if (ioctl(uffd, UFFDIO_API, &api) < 0)
		return -errno;
	if (ret_features)
		*ret_features = api.features;
	return 0;
}

uint64_t uffd_kernel_features(void)
{
	_cleanup_close_ int fd = -1;
	uint64_t features = UINT64_MAX;

	if (uffd_create(&fd) >= 0)
		uffd_handshake(fd, 0, &features);
	return features;
}

int uffd_guard(int *ret)
{
	_cleanup_close_ int fd = -1;
	int r = uffd_create(&fd);

	if (r >= 0)
		r = uffd_handshake(fd,
				   UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM |
					   UFFD_FEATURE_MISSING_HUGETLBFS | UFFD_FEATURE_MINOR_HUGETLBFS,
				   NULL);
	if (r >= 0)
		*ret = steal_fd(fd);
	return r;
}

int uffd_register(int uffd, struct uffdctl_range range, uint64_t modes, uint64_t *ret_ioctls)
{
	struct uffdio_register reg = { .range = { range.start, range_len(range) }, .mode = modes };

	if (ioctl(uffd, UFFDIO_REGISTER, &reg) < 0)
		return -errno;
	if (ret_ioctls)
		*ret_ioctls = reg.ioctls;
	return 0;
}

int uffd_unregister(int uffd, struct uffdctl_range range)
{
	struct uffdio_range r = { range.start, range_len(range) };

	return ioctl(uffd, UFFDIO_UNREGISTER, &r) < 0 ? -errno : 0;
}

int uffd_wake(int uffd, struct uffdctl_range range)
{
	struct uffdio_range r = { range.start, range_len(range) };

	return ioctl(uffd, UFFDIO_WAKE, &r) < 0 ? -errno : 0;
}

int uffd_continue(int uffd, struct uffdctl_range range, uint64_t mode, uint64_t *done)
{
	struct uffdio_continue c = { .range = { range.start, range_len(range) }, .mode = mode };

	if (ioctl(uffd, UFFDIO_CONTINUE, &c) == 0) {
		*done = range_len(range);
		return 0;
	}
	/* The kernel writes this only after it has begun; a negative errno if nothing was done. */
	*done = c.mapped > 0 ? c.mapped : 0;
	return -errno;
}

/* The kernel checks for unread events before the range, which is empty here. */
bool uffd_is_changing(int uffd)
{
	struct uffdio_continue c = {};

	return ioctl(uffd, UFFDIO_CONTINUE, &c) < 0 && errno == EAGAIN;
}

bool uffd_has_ioctl(int uffd, unsigned long request)
{
	return ioctl(uffd, request, NULL) == 0 || errno == EFAULT || errno == EAGAIN;
}

int uffd_copy(int uffd, struct uffdctl_range range, const void *src, uint64_t mode, uint64_t *done)
{
	struct uffdio_copy c = { .dst = range.start, .src = (uintptr_t)src, .len = range_len(range), .mode = mode };

	if (ioctl(uffd, UFFDIO_COPY, &c) == 0) {
		*done = range_len(range);
		return 0;
	}
	*done = c.copy > 0 ? c.copy : 0;
	return -errno;
}

int uffd_zeropage(int uffd, struct uffdctl_range range, uint64_t mode, uint64_t *done)
{
	struct uffdio_zeropage z = { .range = { range.start, range_len(range) }, .mode = mode };

	if (ioctl(uffd, UFFDIO_ZEROPAGE, &z) == 0) {
		*done = range_len(range);
		return 0;
	}
	*done = z.zeropage > 0 ? z.zeropage : 0;
	return -errno;
}

int uffd_poison(int uffd, struct uffdctl_range range, uint64_t mode, uint64_t *done)
{
	struct uffdio_poison p = { .range = { range.start, range_len(range) }, .mode = mode };

	if (ioctl(uffd, UFFDIO_POISON, &p) == 0) {
		*done = range_len(range);
		return 0;
	}
	*done = p.updated > 0 ? p.updated : 0;
	return -errno;
}

int uffd_writeprotect(int uffd, struct uffdctl_range range, uint64_t mode, uint64_t *done)
{
	struct uffdio_writeprotect w = { .range = { range.start, range_len(range) }, .mode = mode };
	int r = ioctl(uffd, UFFDIO_WRITEPROTECT, &w) < 0 ? -errno : 0;

	*done = r < 0 ? 0 : range_len(range);
	return r;
}

int uffd_rwprotect(int uffd, struct uffdctl_range range, uint64_t mode, uint64_t *done)
{
	struct uffdio_rwprotect w = { .range = { range.start, range_len(range) }, .mode = mode };
	int r = ioctl(uffd, UFFDIO_RWPROTECT, &w) < 0 ? -errno : 0;

	*done = r < 0 ? 0 : range_len(range);
	return r;
}
