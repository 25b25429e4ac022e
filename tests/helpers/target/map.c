// SPDX-License-Identifier: GPL-2.0-or-later
/* Mappings, by number: memory of each kind, and what lies beneath it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/helpers/target/commands.h"
#include "tests/helpers/target/map.h"
#include "tests/helpers/target/request.h"
#include "tests/helpers/target/uapi.h"

#define MAX_MAPS 1024

/* Symbols for tests to look up: a global one in .bss, a local one in .data. */
extern char arena[1 << 20];
char arena[1 << 20] __attribute__((aligned(4096), used));
static char scratch[1 << 14] __attribute__((aligned(4096), used)) = "scratch";

uint64_t page_size;
static struct map *maps[MAX_MAPS];
static atomic_int nr_maps;

void map_setup(void)
{
	page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	scratch[0]++;
}

int arg_map(struct json_object *req, const char *key, struct map **ret)
{
	int id = arg_int(req, key, -1);

	if (id < 0 || id >= nr_maps)
		return has(req, key) ? fail(EINVAL, "no mapping %d", id) : need(req, key);
	*ret = maps[id];
	return 0;
}

struct map *map_at(uint64_t addr)
{
	for (int i = nr_maps - 1; i >= 0; i--)
		if (addr - maps[i]->addr < maps[i]->size)
			return maps[i];
	return NULL;
}

static int map_add(uint64_t addr, uint64_t size, int fd, uint64_t file_off, bool shared)
{
	struct map *m;
	struct statfs fs;

	if (nr_maps == MAX_MAPS)
		return fail(ENOSPC, "too many mappings");
	m = calloc(1, sizeof(*m));
	if (!m)
		return fail_errno("calloc");
	m->id = nr_maps;
	m->fd = fd;
	m->shared = shared;
	m->file_off = file_off;
	m->page = page_size;
	if (fd >= 0 && !fstatfs(fd, &fs) && fs.f_type == HUGETLBFS_MAGIC)
		m->page = fs.f_bsize;
	m->addr = addr;
	m->size = size;
	maps[nr_maps] = m;
	return nr_maps++;
}

static int open_memfd(struct json_object *req, const char *kind)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	uint64_t huge = arg_u64(req, "huge_size", 2 << 20);
	int fd;

	if (!strcmp(kind, "hugetlb"))
		flags |= MFD_HUGETLB | ((unsigned int)__builtin_ctzll(huge) << MFD_HUGE_SHIFT);
	fd = memfd_create(arg_str(req, "name", "guest"), flags);
	return fd < 0 ? fail_errno("memfd_create") : fd;
}

static int open_path(struct json_object *req)
{
	const char *path = arg_str(req, "path", NULL);
	int fd;

	if (!path)
		return need(req, "path");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 ? fail_errno(path) : fd;
}

/* Of a virtual machine without a vCPU, whose descriptor stays open. */
static int open_guest_memfd(uint64_t size)
{
	struct kvm_create_guest_memfd arg = {
		.size = size,
		.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
	};
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, fd;

	if (kvm < 0)
		return fail_errno("/dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	fd = vm < 0 ? vm : ioctl(vm, KVM_CREATE_GUEST_MEMFD, &arg);
	if (fd < 0)
		fd = fail_errno("guest_memfd that can be mapped");
	close(kvm);
	return fd;
}

/* The file to map: a descriptor, -1 for none (*err 0), or -1 and *err. */
static int open_backing(struct json_object *req, const char *kind, int *err)
{
	struct map *of;
	int fd = -1;

	*err = 0;
	if (has(req, "of")) {
		*err = arg_map(req, "of", &of);
		return *err ? -1 : of->fd;
	}
	if (!strcmp(kind, "anon"))
		return -1;
	if (!strcmp(kind, "memfd") || !strcmp(kind, "hugetlb") || !strcmp(kind, "symbol"))
		fd = open_memfd(req, kind);
	else if (!strcmp(kind, "guest_memfd"))
		fd = open_guest_memfd(arg_u64(req, "offset", 0) + arg_u64(req, "size", 0));
	else if (!strcmp(kind, "tmpfs") || !strcmp(kind, "file"))
		fd = open_path(req);
	else
		fd = fail(EINVAL, "unknown kind \"%s\"", kind);
	if (fd < 0)
		*err = fd;
	return fd < 0 ? -1 : fd;
}

static int grow_file(int fd, uint64_t size)
{
	struct stat st;

	if (fstat(fd, &st))
		return fail_errno("fstat");
	if ((uint64_t)st.st_size < size && ftruncate(fd, (off_t)size))
		return fail_errno("ftruncate");
	return 0;
}

void *mmap_aligned(uint64_t size, uint64_t align, int prot, int flags, int fd, uint64_t off)
{
	uint64_t start, whole = size + align;
	char *p = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return p;
	start = ((uintptr_t)p + align - 1) / align * align;
	if (start > (uintptr_t)p)
		munmap(p, start - (uintptr_t)p);
	munmap((char *)start + size, (uintptr_t)p + whole - start - size);
	return mmap((void *)start, size, prot, flags | MAP_FIXED, fd, (off_t)off);
}

static int cmd_map(struct json_object *req, struct json_object *res)
{
	const char *kind = arg_str(req, "kind", "memfd");
	uint64_t size = arg_u64(req, "size", 0), off = arg_u64(req, "offset", 0);
	uint64_t addr = arg_u64(req, "addr", 0), align = arg_u64(req, "align", 0);
	bool shared = arg_bool(req, "shared", strcmp(kind, "anon") != 0);
	int prot = PROT_READ | (arg_bool(req, "writable", true) ? PROT_WRITE : 0);
	int flags = shared ? MAP_SHARED : MAP_PRIVATE;
	int err, id, fd = open_backing(req, kind, &err);
	void *p;

	if (err)
		return err;
	if (!strcmp(kind, "symbol")) {
		addr = (uintptr_t)arena;
		if (size > sizeof(arena))
			return fail(EINVAL, "size is over that of the symbol");
	}
	if (arg_bool(req, "noreserve", false))
		flags |= MAP_NORESERVE;
	if (fd < 0)
		flags |= MAP_ANONYMOUS;
	else
		err = grow_file(fd, off + size);
	if (err)
		return err;
	if (align && !addr)
		p = mmap_aligned(size, align, prot, flags, fd, off);
	else
		p = mmap((void *)addr, size, prot, flags | (addr ? MAP_FIXED : 0), fd, (off_t)off);
	if (p == MAP_FAILED)
		return fail_errno("mmap");
	id = map_add((uintptr_t)p, size, fd, fd < 0 ? 0 : off, shared);
	if (id < 0)
		return id;
	put_int(res, "id", id);
	put_hex(res, "addr", (uintptr_t)p);
	put_u64(res, "size", size);
	put_u64(res, "page_size", maps[id]->page);
	put_int(res, "fd", fd);
	return 0;
}

/* n mappings of one page each, and one of populate_bytes that is resident in small pages. */
static int cmd_maps_many(struct json_object *req, struct json_object *res)
{
	uint64_t n = arg_u64(req, "n", 0), big = arg_u64(req, "populate_bytes", 0);
	int fd = memfd_create("many", MFD_CLOEXEC);
	char *p;

	if (fd < 0 || ftruncate(fd, (off_t)(n * page_size + big)))
		return fail_errno("memfd");
	if (n) {
		p = mmap(NULL, n * page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED)
			return fail_errno("mmap");
		for (uint64_t i = 1; i < n; i += 2)
			if (mprotect(p + i * page_size, page_size, PROT_READ))
				return fail_errno("mprotect");
		put_hex(res, "addr", (uintptr_t)p);
		put_int(res, "id_many", map_add((uintptr_t)p, n * page_size, fd, 0, true));
	}
	if (big) {
		p = mmap(NULL, big, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(n * page_size));
		if (p == MAP_FAILED)
			return fail_errno("mmap");
		madvise(p, big, MADV_NOHUGEPAGE);
		if (madvise(p, big, MADV_POPULATE_WRITE))
			return fail_errno("populate");
		put_int(res, "id_big", map_add((uintptr_t)p, big, fd, n * page_size, true));
	}
	return 0;
}

static int cmd_truncate(struct json_object *req, struct json_object *res)
{
	struct map *m;
	int err = arg_map(req, "id", &m);

	(void)res;
	if (!err && ftruncate(m->fd, (off_t)arg_u64(req, "size", 0)))
		err = fail_errno("ftruncate");
	return err;
}

const struct command map_commands[] = {
	{ "map", cmd_map, "kind size shared writable noreserve name path of offset align addr huge_size" },
	{ "maps_many", cmd_maps_many, "n populate_bytes" },
	{ "truncate", cmd_truncate, "id size" },
	{},
};
