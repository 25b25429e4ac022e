// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory of our own, of each kind that a target may have, to try things on. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "lib/cleanup.h"
#include "lib/kernel/hugepages.h"
#include "lib/kernel/own_memory.h"
#include "lib/kernel/uffd.h"
#include "lib/util.h"

static const char *const names[] = {
	[OWN_ANON] = "anon",
	[OWN_SHMEM] = "shmem",
	[OWN_SHMEM_PRIVATE] = "shmem-private",
	[OWN_TMPFS] = "tmpfs",
	[OWN_HUGETLB] = "hugetlb",
	[OWN_HUGETLB_PRIVATE] = "hugetlb-private",
	[OWN_GUEST_MEMFD] = "guest_memfd",
	[OWN_FILE] = "file-private",
};

_Static_assert(ARRAY_SIZE(names) == OWN_NR_KINDS, "a name for each kind");

const char *own_kind_name(enum own_kind kind)
{
	return names[kind];
}

static int sized(int fd, size_t len, int *ret)
{
	_cleanup_close_ int own = fd;

	if (own < 0 || ftruncate(own, (off_t)len) < 0)
		return -errno;
	*ret = steal_fd(own);
	return 0;
}

static int open_tmpfs(size_t len, int *ret)
{
	static const char *const folders[] = { "/dev/shm", "/run/shm", "/tmp", "/run" };
	struct statfs st;

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (statfs(folders[i], &st) == 0 && st.f_type == TMPFS_MAGIC &&
		    sized(open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), len, ret) == 0)
			return 0;
	return -ENOENT;
}

/* Linux 6.8; flags of 6.18, by which user space may map it. */
#ifndef KVM_CREATE_GUEST_MEMFD
struct kvm_create_guest_memfd {
	__u64 size;
	__u64 flags;
	__u64 reserved[6];
};
#define KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct kvm_create_guest_memfd)
#endif
#ifndef GUEST_MEMFD_FLAG_MMAP
#define GUEST_MEMFD_FLAG_MMAP (UINT64_C(1) << 0)
#define GUEST_MEMFD_FLAG_INIT_SHARED (UINT64_C(1) << 1)
#endif

static int open_guest_memfd(size_t len, int *ret)
{
	struct kvm_create_guest_memfd arg = { .size = len,
					      .flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED };
	_cleanup_close_ int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	int fd = vm < 0 ? -1 : ioctl(vm, KVM_CREATE_GUEST_MEMFD, &arg);

	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

static unsigned int huge_flags(uint64_t page_size)
{
	return MFD_HUGETLB | (unsigned int)__builtin_ctzll(page_size) << MAP_HUGE_SHIFT;
}

static int open_file(enum own_kind kind, const struct own_memory *m, int *ret)
{
	switch (kind) {
	case OWN_SHMEM:
	case OWN_SHMEM_PRIVATE:
		return sized(memfd_create("uffdctl-doctor", MFD_CLOEXEC), m->len, ret);
	case OWN_HUGETLB:
	case OWN_HUGETLB_PRIVATE:
		return sized(memfd_create("uffdctl-doctor", MFD_CLOEXEC | huge_flags(m->page_size)), m->len, ret);
	case OWN_TMPFS:
		return open_tmpfs(m->len, ret);
	case OWN_GUEST_MEMFD:
		return open_guest_memfd(m->len, ret);
	case OWN_FILE:
		*ret = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		return *ret < 0 ? -errno : 0;
	default:
		return 0;
	}
}

static bool is_private(enum own_kind kind)
{
	return kind == OWN_ANON || kind == OWN_SHMEM_PRIVATE || kind == OWN_HUGETLB_PRIVATE || kind == OWN_FILE;
}

static int map(enum own_kind kind, struct own_memory *m)
{
	/* MAP_NORESERVE: no huge page is reserved. */
	int flags = (is_private(kind) ? MAP_PRIVATE : MAP_SHARED) | MAP_NORESERVE;

	m->start = mmap(NULL, m->len, PROT_READ | PROT_WRITE, flags | (m->fd < 0 ? MAP_ANONYMOUS : 0), m->fd, 0);
	return m->start == MAP_FAILED ? -errno : 0;
}

/* As fallocate(2), which makes a page in the page cache and none in a page table. */
static void make_cached(struct own_memory *m)
{
	m->has_cached = m->may_make_pages && m->fd >= 0 &&
			fallocate(m->fd, 0, (off_t)(OWN_PAGE_CACHED * m->page_size), (off_t)m->page_size) == 0;
}

/* A process elsewhere may need a huge page at this moment: leave it those that are reserved, and two. */
#define HUGE_PAGES_LEFT 2

static bool may_make_pages(enum own_kind kind, uint64_t page_size)
{
	struct hugepages h;

	if (kind != OWN_HUGETLB && kind != OWN_HUGETLB_PRIVATE)
		return true;
	return hugepages_read(page_size, &h) == 0 && h.free >= h.reserved + OWN_TRY_PAGES + HUGE_PAGES_LEFT;
}

int own_memory_open(enum own_kind kind, uint64_t page_size, struct own_memory *ret)
{
	bool huge = kind == OWN_HUGETLB || kind == OWN_HUGETLB_PRIVATE;
	struct own_memory m = { .fd = -1, .page_size = base_page_size() };
	int r;

	if (huge)
		m.page_size = page_size ?: hugepages_default();
	if (!m.page_size)
		return -ENOENT;
	m.len = OWN_TRY_PAGES * m.page_size;
	m.may_make_pages = may_make_pages(kind, m.page_size);
	r = open_file(kind, &m, &m.fd);
	if (r < 0)
		return r;
	if (kind != OWN_FILE)
		make_cached(&m);
	r = map(kind, &m);
	if (r < 0) {
		cleanup_close(&m.fd);
		return r;
	}
	*ret = m;
	return 0;
}

void own_memory_close(struct own_memory *m)
{
	munmap(m->start, m->len);
	cleanup_close(&m->fd);
}

int own_guest_memfd_registers(uint64_t modes)
{
	_cleanup_close_ int uffd = -1;
	struct own_memory m;
	int r = uffd_create(&uffd);

	if (r >= 0)
		r = uffd_handshake(uffd, 0, NULL);
	if (r >= 0)
		r = own_memory_open(OWN_GUEST_MEMFD, 0, &m);
	if (r < 0)
		return r;
	r = uffd_register(uffd, (struct uffdctl_range){ (uintptr_t)m.start, (uintptr_t)m.start + m.len }, modes, NULL);
	own_memory_close(&m);
	if (r == -EINVAL)
		return 0;
	return r < 0 ? r : 1;
}
