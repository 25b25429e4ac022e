// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A live process for tests and the demo to work on, driven by JSON lines.
 *
 * One request {"cmd":NAME,...} a line on stdin, exactly one answer a line on stdout: {"ok":true,...}
 * or {"ok":false,"error":TEXT,"errno":N}. The first line is {"ok":true,"pid":N}; EOF ends it. The
 * table at the end of the file lists the commands and their arguments (another argument is an error).
 * Addresses in answers are strings "0x..", in requests strings or numbers.
 *
 * The main thread, which talks, never touches memory that may be registered: what may block runs in a
 * worker thread ("job"), which is waited for 5 s, or not at all with "async":true; `join` has its end.
 *
 * Pattern: every 8-byte word of a page is pattern_word(seed, index), index being the page's number
 * within its file (without a file: within its mapping) in units of the mapping's page size.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <linux/kvm.h>
#include <linux/magic.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the headers of Linux 6.1 and glibc 2.36 lack. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON (1 << 14)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)
#endif
#ifndef UFFD_FEATURE_RWP
#define UFFD_FEATURE_RWP (1 << 17)
#endif
#ifndef UFFD_FEATURE_RWP_ASYNC
#define UFFD_FEATURE_RWP_ASYNC (1 << 18)
#endif
#ifndef UFFDIO_REGISTER_MODE_RWP
#define UFFDIO_REGISTER_MODE_RWP ((__u64)1 << 3)
#endif
#ifndef UFFD_PAGEFAULT_FLAG_RWP
#define UFFD_PAGEFAULT_FLAG_RWP (1 << 3)
#endif
#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP ((__u64)1 << 1)
#endif
#ifndef UFFDIO_RWPROTECT
struct uffdio_rwprotect {
	struct uffdio_range range;
	__u64 mode;
};
#define UFFDIO_RWPROTECT_MODE_RWP ((__u64)1 << 0)
#define UFFDIO_RWPROTECT _IOWR(UFFDIO, 0x09, struct uffdio_rwprotect)
#endif
#ifndef KVM_CREATE_GUEST_MEMFD
struct kvm_create_guest_memfd {
	__u64 size;
	__u64 flags;
	__u64 reserved[6];
};
#define KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct kvm_create_guest_memfd)
#endif
#ifndef GUEST_MEMFD_FLAG_MMAP
#define GUEST_MEMFD_FLAG_MMAP (1ULL << 0)
#define GUEST_MEMFD_FLAG_INIT_SHARED (1ULL << 1)
#endif
#ifndef UFFD_FEATURE_MISSING_GUEST_MEMFD
#define UFFD_FEATURE_MISSING_GUEST_MEMFD (1 << 19)
#define UFFD_FEATURE_MINOR_GUEST_MEMFD (1 << 20)
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_MAPS 1024
#define MAX_HANDLERS 64
#define WAIT_MS 5000
#define SMALL_STACK (256 << 10)

struct map {
	int id, fd;
	bool shared;
	uint64_t page, file_off;
	_Atomic uint64_t addr, size; /* a job (mremap) changes them */
};

/* One thing that a worker thread does; each uses the fields that it needs. */
struct job {
	int (*run)(struct job *j);
	int id;
	struct map *map;
	uint64_t addr, len, off, page; /* off: of addr in the file */
	uint64_t stride, seed, value, nr_units, result;
	void (*access)(struct job *j, char *p);
	bool verify, tail, random, loop, zap;
	unsigned int delay_us;
	int arg, pipe[2];
	unsigned char *buf;
	char name[64];
	struct json_object *keep;
	struct handler *handler;
	_Atomic uint64_t touched, mismatches, errors, first_differ;
	atomic_int tid, err;
	atomic_bool stop, done;
};

struct counts {
	_Atomic uint64_t minor, missing, wp, rwp, fork, remap, remove, unmap, errors;
	atomic_int fork_fd;
};

enum action { ACT_NONE, ACT_COUNT, ACT_CONTINUE, ACT_COPY };

struct handler {
	int uffd, stop_fd;
	enum action action;
	bool blocking, wp;
	uint64_t seed;
	pid_t child; /* 0: a thread of ours */
	pthread_t thread;
	atomic_int tid;
	atomic_bool running, stop;
	struct counts *counts; /* shared with the child */
};

struct name_value {
	const char *name;
	uint64_t value;
};

uint64_t pattern_word(uint64_t seed, uint64_t index);

/* Symbols for tests to look up: a global one in .bss, a local one in .data. */
extern char arena[1 << 20];
char arena[1 << 20] __attribute__((aligned(4096), used));
static char scratch[1 << 14] __attribute__((aligned(4096), used)) = "scratch";

static uint64_t page_size;
static struct map *maps[MAX_MAPS];
static atomic_int nr_maps;
static struct job **jobs;
static int nr_jobs;
static struct handler handlers[MAX_HANDLERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int lifeline[2]; /* children see EOF here when this process is gone */
static char error_text[512];
static _Thread_local sigjmp_buf *guard;

/* ---- the pattern ---- */

/* splitmix64 of seed * 2^64/phi + index; tests/tap.py has the same formula. */
uint64_t pattern_word(uint64_t seed, uint64_t index)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15 + index;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* ---- requests and answers ---- */

static int __attribute__((format(printf, 2, 3))) fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error_text, sizeof(error_text), fmt, ap);
	va_end(ap);
	return -err;
}

static int fail_errno(const char *what)
{
	int err = errno;

	return fail(err, "%s: %s", what, strerror(err));
}

static void put_u64(struct json_object *res, const char *key, uint64_t value)
{
	json_object_object_add(res, key, json_object_new_uint64(value));
}

static void put_int(struct json_object *res, const char *key, int64_t value)
{
	json_object_object_add(res, key, json_object_new_int64(value));
}

static void put_hex(struct json_object *res, const char *key, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	json_object_object_add(res, key, json_object_new_string(text));
}

static bool has(struct json_object *req, const char *key)
{
	return json_object_object_get(req, key);
}

static uint64_t arg_u64(struct json_object *req, const char *key, uint64_t def)
{
	struct json_object *o = json_object_object_get(req, key);

	if (!o)
		return def;
	if (json_object_is_type(o, json_type_string))
		return strtoull(json_object_get_string(o), NULL, 0);
	return json_object_get_uint64(o);
}

static int arg_int(struct json_object *req, const char *key, int def)
{
	return has(req, key) ? json_object_get_int(json_object_object_get(req, key)) : def;
}

static bool arg_bool(struct json_object *req, const char *key, bool def)
{
	return has(req, key) ? json_object_get_boolean(json_object_object_get(req, key)) : def;
}

static const char *arg_str(struct json_object *req, const char *key, const char *def)
{
	return has(req, key) ? json_object_get_string(json_object_object_get(req, key)) : def;
}

static int need(struct json_object *req, const char *key)
{
	return has(req, key) ? 0 : fail(EINVAL, "argument \"%s\" is missing", key);
}

static int lookup(const struct name_value *table, size_t n, const char *name, uint64_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(table[i].name, name)) {
			*ret = table[i].value;
			return 0;
		}
	}
	return fail(EINVAL, "unknown name \"%s\"", name);
}

static int arg_name(struct json_object *req, const char *key, const char *def,
		    const struct name_value *table, size_t n, uint64_t *ret)
{
	const char *name = arg_str(req, key, def);

	return name ? lookup(table, n, name, ret) : need(req, key);
}

/* A list of names, or-ed. */
static int arg_flags(struct json_object *req, const char *key, const struct name_value *table,
		     size_t n, uint64_t *ret)
{
	struct json_object *list = json_object_object_get(req, key);
	uint64_t one = 0;
	int err;

	*ret = 0;
	if (!list)
		return 0;
	if (!json_object_is_type(list, json_type_array))
		return fail(EINVAL, "\"%s\" is no list", key);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		err = lookup(table, n, json_object_get_string(json_object_array_get_idx(list, i)),
			     &one);
		if (err)
			return err;
		*ret |= one;
	}
	return 0;
}

/* ---- mappings ---- */

static int arg_map(struct json_object *req, const char *key, struct map **ret)
{
	int id = arg_int(req, key, -1);

	if (id < 0 || id >= nr_maps)
		return has(req, key) ? fail(EINVAL, "no mapping %d", id) : need(req, key);
	*ret = maps[id];
	return 0;
}

static struct map *map_at(uint64_t addr)
{
	for (int i = nr_maps - 1; i >= 0; i--)
		if (addr - maps[i]->addr < maps[i]->size)
			return maps[i];
	return NULL;
}

/* "id" (or "addr"), "offset", "len" -> map, addr, len, off and page of the job. */
static int arg_range(struct json_object *req, struct job *j)
{
	uint64_t offset = arg_u64(req, "offset", 0);
	int err;

	if (!has(req, "id") && has(req, "addr")) {
		j->addr = arg_u64(req, "addr", 0) + offset;
		j->len = arg_u64(req, "len", page_size);
		j->page = page_size;
		return 0;
	}
	err = arg_map(req, "id", &j->map);
	if (err)
		return err;
	if (offset > j->map->size)
		return fail(EINVAL, "offset lies behind the mapping");
	j->addr = j->map->addr + offset;
	j->len = arg_u64(req, "len", j->map->size - offset);
	j->off = j->map->file_off + offset;
	j->page = j->map->page;
	return 0;
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

/* Moves the job to a temporary mapping of the same file, which is registered nowhere. */
static int second_open(struct job *j)
{
	uint64_t skip = j->off % j->page;
	char *p;

	if (!j->map || j->map->fd < 0)
		return fail(EBADF, "no file, so there is no second mapping");
	p = mmap(NULL, j->len + skip, PROT_READ | PROT_WRITE, MAP_SHARED, j->map->fd,
		 (off_t)(j->off - skip));
	if (p == MAP_FAILED)
		return fail_errno("second mapping");
	j->addr = (uintptr_t)p + skip;
	return 0;
}

static void second_close(struct job *j)
{
	uint64_t skip = j->off % j->page;
	uint64_t len = (j->len + skip + j->page - 1) / j->page * j->page;

	munmap((void *)(j->addr - skip), len);
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

static void *mmap_aligned(uint64_t size, uint64_t align, int prot, int flags, int fd, uint64_t off)
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

/* ---- jobs ---- */

static void on_fault(int sig)
{
	if (guard)
		siglongjmp(*guard, sig);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void on_wakeup(int sig)
{
	(void)sig;
}

/* Runs fn(j, p); -EFAULT when it meets SIGBUS or SIGSEGV. */
static int guarded(struct job *j, void (*fn)(struct job *j, char *p), char *p)
{
	sigjmp_buf env;
	int ret = 0;

	if (sigsetjmp(env, 0)) {
		guard = NULL;
		return -EFAULT;
	}
	guard = &env;
	fn(j, p);
	guard = NULL;
	return ret;
}

static int job_new(struct json_object *req, struct job **ret)
{
	struct job **grown, *j = calloc(1, sizeof(*j));

	grown = reallocarray(jobs, (size_t)nr_jobs + 1, sizeof(struct job *));
	if (grown)
		jobs = grown;
	if (!j || !grown) {
		free(j);
		return fail(ENOMEM, "no memory");
	}
	j->id = nr_jobs;
	j->first_differ = UINT64_MAX;
	j->pipe[0] = j->pipe[1] = -1;
	snprintf(j->name, sizeof(j->name), "%s", arg_str(req, "name", ""));
	jobs[nr_jobs++] = j;
	*ret = j;
	return 0;
}

static void *job_thread(void *arg)
{
	struct job *j = arg;

	if (*j->name)
		prctl(PR_SET_NAME, j->name);
	pthread_mutex_lock(&lock);
	j->tid = gettid();
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);

	int err = j->run(j);

	pthread_mutex_lock(&lock);
	if (err)
		j->err = -err;
	j->done = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static int start_thread(void *(*fn)(void *), void *arg, size_t stack, pthread_t *ret)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, stack);
	if (!ret)
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(ret ? ret : &thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return err ? fail(err, "pthread_create: %s", strerror(err)) : 0;
}

static void *churn_thread(void *arg)
{
	size_t size = 64 << 20;
	void *p;

	(void)arg;
	for (;;) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (p != MAP_FAILED)
			munmap(p, size);
	}
	return NULL;
}

/* Threads that map and unmap without a pause, so that the lock of the mappings is hardly ever free. */
static int cmd_churn(struct json_object *req, struct json_object *res)
{
	uint64_t threads = arg_u64(req, "threads", 1);
	int r = 0;

	(void)res;
	for (uint64_t i = 0; r == 0 && i < threads; i++)
		r = start_thread(churn_thread, NULL, SMALL_STACK, NULL);
	return r;
}

static int job_start(struct job *j)
{
	int err = start_thread(job_thread, j, SMALL_STACK, NULL);

	if (err)
		return err;
	pthread_mutex_lock(&lock);
	while (!j->tid)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return 0;
}

static bool job_wait(struct job *j, uint64_t timeout_ms)
{
	struct timespec end;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)(timeout_ms / 1000);
	end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&lock);
	while (!j->done && !err)
		err = pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, &end);
	pthread_mutex_unlock(&lock);
	return j->done;
}

/* Starts the job; waits for it unless "async", and fails as it does. */
static int job_run(struct json_object *req, struct json_object *res, struct job *j)
{
	int err = job_start(j);

	if (err)
		return err;
	if (arg_bool(req, "async", false) || !job_wait(j, WAIT_MS)) {
		put_int(res, "thread", j->id);
		put_int(res, "tid", j->tid);
		return arg_bool(req, "async", false) ? 0 : fail(ETIMEDOUT, "still blocked");
	}
	return j->err ? fail(j->err, "%s", strerror(j->err)) : 0;
}

static int arg_job(struct json_object *req, struct job **ret)
{
	int id = arg_int(req, "thread", -1);

	if (id < 0 || id >= nr_jobs)
		return has(req, "thread") ? fail(EINVAL, "no thread %d", id) : need(req, "thread");
	*ret = jobs[id];
	return 0;
}

static void put_job(struct json_object *res, struct job *j)
{
	bool done = j->done; /* first: the rest is final once it is set */

	json_object_object_add(res, "done", json_object_new_boolean(done));
	put_u64(res, "touched", j->touched);
	put_u64(res, "mismatches", j->mismatches);
	put_u64(res, "errors", j->errors);
	put_int(res, "tid", j->tid);
	put_u64(res, "result", j->result); /* pid, or address */
	put_int(res, "errno", j->err);
	json_object_object_add(res, "error", j->err ? json_object_new_string(strerror(j->err)) :
						      NULL);
}

static int cmd_join(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = arg_job(req, &j);

	if (err)
		return err;
	job_wait(j, arg_u64(req, "timeout_ms", WAIT_MS));
	put_job(res, j);
	return 0;
}

static int cmd_status(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = arg_job(req, &j);

	if (err)
		return err;
	put_job(res, j);
	return 0;
}

static int cmd_stop(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = arg_job(req, &j);

	(void)res;
	if (!err)
		j->stop = true;
	return err;
}

/* ---- contents ---- */

static uint64_t unit(struct job *j)
{
	return j->stride < j->page ? j->stride : j->page;
}

static uint64_t expected(struct job *j, char *p)
{
	return pattern_word(j->seed, (j->off + ((uintptr_t)p - j->addr)) / j->page);
}

static bool same(struct job *j, char *p)
{
	uint64_t word = expected(j, p), n = unit(j) / 8 - j->tail;

	for (uint64_t i = 0; i < n; i++)
		if (((volatile uint64_t *)p)[i] != word)
			return false;
	return !j->tail || ((volatile uint64_t *)p)[n] == j->value;
}

static void check_unit(struct job *j, char *p)
{
	if (same(j, p))
		j->touched++;
	else if (!j->mismatches++)
		j->first_differ = (uintptr_t)p - j->addr;
}

static void fill_unit(struct job *j, char *p)
{
	uint64_t word = expected(j, p), n = unit(j) / 8;

	for (uint64_t i = 0; i < n; i++)
		((volatile uint64_t *)p)[i] = word;
}

static void peek_all(struct job *j, char *p)
{
	memcpy(j->buf, p, j->len);
}

static void poke_all(struct job *j, char *p)
{
	memcpy(p, j->buf, j->len);
}

/* Applies access() to each unit of the range once; ends at the first error. */
static int run_units(struct job *j)
{
	for (uint64_t i = 0; i < j->len; i += j->stride)
		if (guarded(j, j->access, (char *)j->addr + i))
			return -EFAULT;
	return 0;
}

static int run_whole(struct job *j)
{
	return guarded(j, j->access, (char *)j->addr);
}

/* In a worker thread on the mapping itself, or here through a second one. */
static int contents(struct json_object *req, struct json_object *res, struct job *j, bool second)
{
	int err;

	if (!second)
		return job_run(req, res, j);
	err = second_open(j);
	if (err)
		return err;
	err = j->run(j);
	j->done = true;
	second_close(j);
	return err ? fail(-err, "%s", strerror(-err)) : 0;
}

static int units_job(struct json_object *req, void (*access)(struct job *, char *),
		     struct job **ret)
{
	int err = job_new(req, ret);

	if (!err)
		err = arg_range(req, *ret);
	if (err)
		return err;
	(*ret)->run = run_units;
	(*ret)->access = access;
	(*ret)->stride = (*ret)->page;
	(*ret)->seed = arg_u64(req, "seed", 1);
	if ((*ret)->addr % (*ret)->page || (*ret)->len % (*ret)->page)
		return fail(EINVAL, "offset and len must be multiples of the page size");
	return 0;
}

static bool through_second(struct json_object *req, const char *def)
{
	return !strcmp(arg_str(req, "through", def), "second");
}

static int cmd_fill(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = units_job(req, fill_unit, &j);

	return err ? err : contents(req, res, j, through_second(req, "second"));
}

static int check(struct json_object *req, struct json_object *res, bool through_file)
{
	struct job *j;
	int err = units_job(req, check_unit, &j);

	if (err)
		return err;
	j->tail = has(req, "tail");
	j->value = arg_u64(req, "tail", 0);
	err = contents(req, res, j, through_file);
	put_u64(res, "match", j->touched);
	put_u64(res, "differ", j->mismatches);
	if (j->mismatches)
		put_u64(res, "first_differ", j->first_differ + arg_u64(req, "offset", 0));
	else
		json_object_object_add(res, "first_differ", NULL);
	return err;
}

static int cmd_check(struct json_object *req, struct json_object *res)
{
	return check(req, res, false);
}

static int cmd_check_file(struct json_object *req, struct json_object *res)
{
	return check(req, res, true);
}

static int bytes_job(struct json_object *req, uint64_t len, void (*access)(struct job *, char *),
		     struct job **ret)
{
	int err = job_new(req, ret);

	if (!err)
		err = arg_range(req, *ret);
	if (err)
		return err;
	if (len > 4096)
		return fail(EINVAL, "len is over 4096");
	(*ret)->run = run_whole;
	(*ret)->access = access;
	(*ret)->len = len;
	(*ret)->buf = calloc(1, len + 1);
	return (*ret)->buf ? 0 : fail_errno("calloc");
}

static int cmd_peek(struct json_object *req, struct json_object *res)
{
	uint64_t len = arg_u64(req, "len", 8);
	char hex[2 * 4096 + 1] = "";
	struct job *j;
	int err = bytes_job(req, len, peek_all, &j);

	if (!err)
		err = contents(req, res, j, through_second(req, "self"));
	if (err || !j->done)
		return err;
	for (uint64_t i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", j->buf[i]);
	json_object_object_add(res, "hex", json_object_new_string(hex));
	return 0;
}

static int cmd_poke(struct json_object *req, struct json_object *res)
{
	const char *hex = arg_str(req, "hex", "");
	struct job *j;
	int err = bytes_job(req, strlen(hex) / 2, poke_all, &j);

	if (err)
		return err;
	for (uint64_t i = 0; i < j->len; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &j->buf[i]) != 1)
			return fail(EINVAL, "\"hex\" is no hexadecimal");
	return contents(req, res, j, through_second(req, "self"));
}

/* ---- touch ---- */

static void access_read(struct job *j, char *p)
{
	(void)*(volatile uint64_t *)p;
	if (j->verify && !same(j, p))
		j->mismatches++;
}

static void access_write(struct job *j, char *p)
{
	*(volatile uint64_t *)(p + unit(j) - 8) = j->value;
}

static void access_kernel_read(struct job *j, char *p)
{
	char byte;

	if (write(j->pipe[1], p, 1) != 1 || read(j->pipe[0], &byte, 1) != 1) {
		j->err = errno;
		j->errors++;
	}
}

static void access_kernel_write(struct job *j, char *p)
{
	char rest[8];

	if (write(j->pipe[1], &j->value, 8) != 8)
		abort();
	if (read(j->pipe[0], p + unit(j) - 8, 8) != 8) {
		j->err = errno;
		j->errors++;
		if (read(j->pipe[0], rest, 8) < 0)
			abort();
	}
}

static uint32_t *shuffled(uint64_t n, uint64_t seed)
{
	uint32_t *order = calloc(n, sizeof(*order));

	for (uint64_t i = 0; order && i < n; i++) {
		uint64_t k = pattern_word(seed, i) % (i + 1);

		order[i] = order[k];
		order[k] = (uint32_t)i;
	}
	return order;
}

static int run_touch(struct job *j)
{
	uint32_t *order = j->random ? shuffled(j->nr_units, (uint64_t)j->id + 1) : NULL;

	if ((j->random && !order) || pipe2(j->pipe, O_CLOEXEC))
		return -errno;
	do {
		for (uint64_t i = 0; i < j->nr_units && !j->stop; i++) {
			char *p = (char *)j->addr + (order ? order[i] : i) * j->stride;

			if (guarded(j, j->access, p)) {
				j->err = EFAULT;
				j->errors++;
			}
			j->touched++;
			if (j->zap)
				madvise(p, j->page, MADV_DONTNEED);
			if (j->delay_us)
				usleep(j->delay_us);
		}
	} while (j->loop && !j->stop);
	free(order);
	close(j->pipe[0]);
	close(j->pipe[1]);
	return 0;
}

static int arg_access(struct json_object *req, struct job *j)
{
	static const struct {
		const char *name;
		void (*fn)(struct job *, char *);
	} table[] = {
		{ "read", access_read },
		{ "write", access_write },
		{ "kernel_read", access_kernel_read },
		{ "kernel_write", access_kernel_write },
	};
	const char *name = arg_str(req, "access", "read");

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(table[i].name, name))
			j->access = table[i].fn;
	return j->access ? 0 : fail(EINVAL, "unknown access \"%s\"", name);
}

/* Thread nr of n: all of the range, or its share of it with "split". */
static int touch_job(struct json_object *req, uint64_t nr, uint64_t n, struct job **ret)
{
	uint64_t first = 0, units;
	struct job *j;
	int err = job_new(req, &j);

	if (!err)
		err = arg_range(req, j);
	if (!err)
		err = arg_access(req, j);
	if (err)
		return err;
	j->run = run_touch;
	j->stride = arg_u64(req, "stride", j->page);
	if (j->stride < 8 || j->len < j->stride)
		return fail(EINVAL, "stride must be 8 to len");
	units = j->len / j->stride;
	if (arg_bool(req, "split", false)) {
		first = units * nr / n;
		units = units * (nr + 1) / n - first;
	}
	j->addr += first * j->stride;
	j->off += first * j->stride;
	j->nr_units = units;
	j->verify = has(req, "seed");
	j->seed = arg_u64(req, "seed", 0);
	j->value = arg_u64(req, "value", 0xa5a5a5a5a5a5a5a5);
	j->random = !strcmp(arg_str(req, "order", "seq"), "random");
	j->loop = arg_bool(req, "loop", false);
	j->zap = arg_bool(req, "zap", false);
	j->delay_us = (unsigned int)arg_u64(req, "delay_us", 0);
	*ret = j;
	return 0;
}

static int cmd_touch(struct json_object *req, struct json_object *res)
{
	struct json_object *ids = json_object_new_array(), *tids = json_object_new_array();
	uint64_t n = arg_u64(req, "threads", 1);
	struct job *j = NULL;
	int err;

	json_object_object_add(res, "threads", ids);
	json_object_object_add(res, "tids", tids);
	for (uint64_t i = 0; i < n; i++) {
		err = touch_job(req, i, n, &j);
		if (!err)
			err = job_start(j);
		if (err)
			return err;
		json_object_array_add(ids, json_object_new_int(j->id));
		json_object_array_add(tids, json_object_new_int(j->tid));
	}
	return 0;
}

/* ---- the memory itself ---- */

static int run_munmap(struct job *j)
{
	struct map *m = j->map;

	if (munmap((void *)j->addr, j->len))
		return -errno;
	/* A hole at the start or in the middle isn't kept track of: offsets keep their meaning. */
	if (j->addr + j->len >= m->addr + m->size)
		m->size = j->addr - m->addr;
	return 0;
}

static int run_mremap(struct job *j)
{
	int flags = MREMAP_MAYMOVE;
	void *to = NULL, *p;

	if (j->arg) { /* move: somewhere that is certainly free */
		to = mmap_aligned(j->value, j->page, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (to == MAP_FAILED)
			return -errno;
		flags |= MREMAP_FIXED;
	}
	p = mremap((void *)j->addr, j->len, j->value, flags, to);
	if (p == MAP_FAILED)
		return -errno;
	j->result = (uintptr_t)p;
	j->map->addr = (uintptr_t)p;
	j->map->size = j->value;
	return 0;
}

static int run_mprotect(struct job *j)
{
	return mprotect((void *)j->addr, j->len, j->arg) ? -errno : 0;
}

static int run_madvise(struct job *j)
{
	return madvise((void *)j->addr, j->len, j->arg) ? -errno : 0;
}

static int range_job(struct json_object *req, int (*run)(struct job *j), struct job **ret)
{
	int err = job_new(req, ret);

	if (err)
		return err;
	(*ret)->run = run;
	return arg_range(req, *ret);
}

static int cmd_munmap(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = range_job(req, run_munmap, &j);

	return err ? err : job_run(req, res, j);
}

static int cmd_mremap(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = range_job(req, run_mremap, &j);

	if (err)
		return err;
	j->arg = arg_bool(req, "move", !has(req, "new_size"));
	j->value = arg_u64(req, "new_size", j->len);
	err = job_run(req, res, j);
	if (!err && j->done) {
		put_hex(res, "addr", j->result);
		put_u64(res, "size", j->value);
	}
	return err;
}

static int cmd_mprotect(struct json_object *req, struct json_object *res)
{
	static const struct name_value table[] = {
		{ "none", PROT_NONE },
		{ "r", PROT_READ },
		{ "rw", PROT_READ | PROT_WRITE },
	};
	uint64_t prot;
	struct job *j;
	int err = arg_name(req, "prot", NULL, table, ARRAY_SIZE(table), &prot);

	if (!err)
		err = range_job(req, run_mprotect, &j);
	if (err)
		return err;
	j->arg = (int)prot;
	return job_run(req, res, j);
}

static int cmd_madvise(struct json_object *req, struct json_object *res)
{
	static const struct name_value table[] = {
		{ "dontneed", MADV_DONTNEED },
		{ "remove", MADV_REMOVE },
		{ "hugepage", MADV_HUGEPAGE },
		{ "nohugepage", MADV_NOHUGEPAGE },
		{ "collapse", MADV_COLLAPSE },
		{ "populate_read", MADV_POPULATE_READ },
		{ "populate_write", MADV_POPULATE_WRITE },
		{ "pageout", MADV_PAGEOUT },
		{ "free", MADV_FREE },
	};
	uint64_t advice;
	struct job *j;
	int err = arg_name(req, "advice", NULL, table, ARRAY_SIZE(table), &advice);

	if (!err)
		err = range_job(req, run_madvise, &j);
	if (err)
		return err;
	j->arg = (int)advice;
	return job_run(req, res, j);
}

static int cmd_fallocate(struct json_object *req, struct json_object *res)
{
	static const struct name_value table[] = {
		{ "alloc", 0 },
		{ "punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
	};
	struct job j = {};
	uint64_t mode;
	int err = arg_name(req, "mode", "alloc", table, ARRAY_SIZE(table), &mode);

	(void)res;
	if (!err)
		err = arg_range(req, &j);
	if (err || !j.map)
		return err ? err : need(req, "id");
	if (fallocate(j.map->fd, (int)mode, (off_t)j.off, (off_t)j.len))
		return fail_errno("fallocate");
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

/* ---- userfaultfd ---- */

static const struct name_value features[] = {
	{ "pagefault_flag_wp", UFFD_FEATURE_PAGEFAULT_FLAG_WP },
	{ "event_fork", UFFD_FEATURE_EVENT_FORK },
	{ "event_remap", UFFD_FEATURE_EVENT_REMAP },
	{ "event_remove", UFFD_FEATURE_EVENT_REMOVE },
	{ "missing_hugetlbfs", UFFD_FEATURE_MISSING_HUGETLBFS },
	{ "missing_shmem", UFFD_FEATURE_MISSING_SHMEM },
	{ "event_unmap", UFFD_FEATURE_EVENT_UNMAP },
	{ "sigbus", UFFD_FEATURE_SIGBUS },
	{ "thread_id", UFFD_FEATURE_THREAD_ID },
	{ "minor_hugetlbfs", UFFD_FEATURE_MINOR_HUGETLBFS },
	{ "minor_shmem", UFFD_FEATURE_MINOR_SHMEM },
	{ "exact_address", UFFD_FEATURE_EXACT_ADDRESS },
	{ "wp_hugetlbfs_shmem", UFFD_FEATURE_WP_HUGETLBFS_SHMEM },
	{ "wp_unpopulated", UFFD_FEATURE_WP_UNPOPULATED },
	{ "poison", UFFD_FEATURE_POISON },
	{ "wp_async", UFFD_FEATURE_WP_ASYNC },
	{ "move", UFFD_FEATURE_MOVE },
	{ "rwp", UFFD_FEATURE_RWP },
	{ "rwp_async", UFFD_FEATURE_RWP_ASYNC },
	{ "missing_guest_memfd", UFFD_FEATURE_MISSING_GUEST_MEMFD },
	{ "minor_guest_memfd", UFFD_FEATURE_MINOR_GUEST_MEMFD },
};

static int need_uffd(struct json_object *req, int *ret)
{
	*ret = arg_int(req, "uffd", -1);
	return need(req, "uffd");
}

static int handshake(struct json_object *req, struct json_object *res, int fd)
{
	struct json_object *list;
	struct uffdio_api api = { .api = UFFD_API };
	uint64_t want;
	int err = arg_flags(req, "features", features, ARRAY_SIZE(features), &want);

	if (err)
		return err;
	api.features = want;
	if (ioctl(fd, UFFDIO_API, &api))
		return fail_errno("UFFDIO_API");
	list = json_object_new_array();
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (api.features & features[i].value)
			json_object_array_add(list, json_object_new_string(features[i].name));
	json_object_object_add(res, "supported", list);
	return 0;
}

static int uffd_open(int flags)
{
	int dev, fd = -1;

	if (!(flags & UFFD_USER_MODE_ONLY)) {
		dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
		if (dev >= 0) {
			fd = ioctl(dev, USERFAULTFD_IOC_NEW, flags);
			close(dev);
		}
	}
	return fd >= 0 ? fd : (int)syscall(SYS_userfaultfd, flags);
}

static int cmd_uffd(struct json_object *req, struct json_object *res)
{
	int flags = (arg_bool(req, "cloexec", true) ? O_CLOEXEC : 0) |
		    (arg_bool(req, "nonblock", true) ? O_NONBLOCK : 0) |
		    (arg_bool(req, "user_mode_only", false) ? UFFD_USER_MODE_ONLY : 0);
	int err = 0, fd = uffd_open(flags);

	if (fd < 0)
		return fail_errno("userfaultfd");
	if (arg_bool(req, "handshake", true))
		err = handshake(req, res, fd);
	if (err)
		close(fd);
	else
		put_int(res, "fd", fd);
	return err;
}

static int cmd_handshake(struct json_object *req, struct json_object *res)
{
	int fd, err = need_uffd(req, &fd);

	return err ? err : handshake(req, res, fd);
}

/* "uffd" and a range, for the commands that are one ioctl. */
static int arg_ioctl(struct json_object *req, int *fd, struct uffdio_range *range)
{
	struct job j = {};
	int err = need_uffd(req, fd);

	if (!err)
		err = arg_range(req, &j);
	*range = (struct uffdio_range){ .start = j.addr, .len = j.len };
	return err;
}

static int cmd_register(struct json_object *req, struct json_object *res)
{
	static const struct name_value modes[] = {
		{ "missing", UFFDIO_REGISTER_MODE_MISSING },
		{ "wp", UFFDIO_REGISTER_MODE_WP },
		{ "minor", UFFDIO_REGISTER_MODE_MINOR },
		{ "rwp", UFFDIO_REGISTER_MODE_RWP },
	};
	struct uffdio_register arg = {};
	uint64_t mode;
	int fd, err = arg_ioctl(req, &fd, &arg.range);

	if (!err)
		err = arg_flags(req, "mode", modes, ARRAY_SIZE(modes), &mode);
	if (err)
		return err;
	arg.mode = mode;
	if (ioctl(fd, UFFDIO_REGISTER, &arg))
		return fail_errno("UFFDIO_REGISTER");
	put_hex(res, "ioctls", arg.ioctls);
	return 0;
}

static int cmd_unregister(struct json_object *req, struct json_object *res)
{
	struct uffdio_range arg;
	int fd, err = arg_ioctl(req, &fd, &arg);

	(void)res;
	if (!err && ioctl(fd, UFFDIO_UNREGISTER, &arg))
		err = fail_errno("UFFDIO_UNREGISTER");
	return err;
}

static int cmd_wake(struct json_object *req, struct json_object *res)
{
	struct uffdio_range arg;
	int fd, err = arg_ioctl(req, &fd, &arg);

	(void)res;
	if (!err && ioctl(fd, UFFDIO_WAKE, &arg))
		err = fail_errno("UFFDIO_WAKE");
	return err;
}

static int cmd_continue(struct json_object *req, struct json_object *res)
{
	struct uffdio_continue arg = {};
	int fd, err = arg_ioctl(req, &fd, &arg.range);

	if (err)
		return err;
	arg.mode = (arg_bool(req, "wp", false) ? UFFDIO_CONTINUE_MODE_WP : 0) |
		   (arg_bool(req, "wake", true) ? 0 : UFFDIO_CONTINUE_MODE_DONTWAKE);
	if (ioctl(fd, UFFDIO_CONTINUE, &arg))
		err = fail_errno("UFFDIO_CONTINUE");
	put_int(res, "mapped", arg.mapped);
	return err;
}

static int cmd_writeprotect(struct json_object *req, struct json_object *res)
{
	struct uffdio_writeprotect arg = {};
	int fd, err = arg_ioctl(req, &fd, &arg.range);

	(void)res;
	arg.mode = arg_bool(req, "protect", true) ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
	if (!err && ioctl(fd, UFFDIO_WRITEPROTECT, &arg))
		err = fail_errno("UFFDIO_WRITEPROTECT");
	return err;
}

static int cmd_rwprotect(struct json_object *req, struct json_object *res)
{
	struct uffdio_rwprotect arg = {};
	int fd, err = arg_ioctl(req, &fd, &arg.range);

	(void)res;
	arg.mode = arg_bool(req, "protect", true) ? UFFDIO_RWPROTECT_MODE_RWP : 0;
	if (!err && ioctl(fd, UFFDIO_RWPROTECT, &arg))
		err = fail_errno("UFFDIO_RWPROTECT");
	return err;
}

/* UFFDIO_COPY of pattern pages (seed 0: zeros) to start, which lies off bytes into its file. */
static int copy_pattern(int fd, uint64_t start, uint64_t len, uint64_t off, uint64_t page,
			uint64_t seed, int64_t *ret)
{
	struct uffdio_copy arg = { .dst = start, .len = len };
	uint64_t *src = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err = 0;

	if (src == MAP_FAILED)
		return -errno;
	for (uint64_t i = 0; seed && i < len / 8; i++)
		src[i] = pattern_word(seed, (off + 8 * i) / page);
	arg.src = (uintptr_t)src;
	if (ioctl(fd, UFFDIO_COPY, &arg))
		err = -errno;
	munmap(src, len);
	*ret = arg.copy;
	return err;
}

static int cmd_copy(struct json_object *req, struct json_object *res)
{
	struct job j = {};
	int64_t copied = 0;
	int fd, err = need_uffd(req, &fd);

	if (!err)
		err = arg_range(req, &j);
	if (err)
		return err;
	err = copy_pattern(fd, j.addr, j.len, j.off, j.page, arg_u64(req, "seed", 1), &copied);
	put_int(res, "copy", copied);
	return err ? fail(-err, "UFFDIO_COPY: %s", strerror(-err)) : 0;
}

/* ---- fault handlers ---- */

static int resolve(struct handler *h, uint64_t flags, struct uffdio_range range, struct map *m)
{
	uint64_t off = m ? m->file_off + (range.start - m->addr) : 0;
	int64_t copied;

	if (flags & UFFD_PAGEFAULT_FLAG_MINOR) {
		struct uffdio_continue arg = { .range = range };

		arg.mode = h->wp ? UFFDIO_CONTINUE_MODE_WP : 0;
		return ioctl(h->uffd, UFFDIO_CONTINUE, &arg);
	}
	if (flags & UFFD_PAGEFAULT_FLAG_WP) {
		struct uffdio_writeprotect arg = { .range = range };

		return ioctl(h->uffd, UFFDIO_WRITEPROTECT, &arg);
	}
	if (flags & UFFD_PAGEFAULT_FLAG_RWP) {
		struct uffdio_rwprotect arg = { .range = range };

		return ioctl(h->uffd, UFFDIO_RWPROTECT, &arg);
	}
	return copy_pattern(h->uffd, range.start, range.len, off, range.len,
			    h->action == ACT_COPY ? h->seed : 0, &copied);
}

static void handle_fault(struct handler *h, struct uffd_msg *msg)
{
	uint64_t flags = msg->arg.pagefault.flags, addr = msg->arg.pagefault.address;
	struct map *m = map_at(addr);
	uint64_t page = m ? m->page : page_size;
	struct uffdio_range range = { .start = addr / page * page, .len = page };

	if (flags & UFFD_PAGEFAULT_FLAG_MINOR)
		h->counts->minor++;
	else if (flags & UFFD_PAGEFAULT_FLAG_WP)
		h->counts->wp++;
	else if (flags & UFFD_PAGEFAULT_FLAG_RWP)
		h->counts->rwp++;
	else
		h->counts->missing++;
	if (h->action == ACT_COUNT)
		return;
	/* Already resolved, or memory that changes just now: let the thread try again. */
	if (resolve(h, flags, range, m)) {
		h->counts->errors++;
		ioctl(h->uffd, UFFDIO_WAKE, &range);
	}
}

static void handle_msg(struct handler *h, struct uffd_msg *msg)
{
	switch (msg->event) {
	case UFFD_EVENT_PAGEFAULT:
		handle_fault(h, msg);
		break;
	case UFFD_EVENT_FORK:
		h->counts->fork_fd = (int)msg->arg.fork.ufd;
		h->counts->fork++;
		break;
	case UFFD_EVENT_REMAP:
		h->counts->remap++;
		break;
	case UFFD_EVENT_REMOVE:
		h->counts->remove++;
		break;
	case UFFD_EVENT_UNMAP:
		h->counts->unmap++;
		break;
	}
}

/* Until stopped; in a child also until the lifeline is cut. */
static void handler_loop(struct handler *h, int lifeline_fd)
{
	struct pollfd fds[] = {
		{ .fd = h->action == ACT_NONE ? -1 : h->uffd, .events = POLLIN },
		{ .fd = h->stop_fd, .events = POLLIN },
		{ .fd = lifeline_fd, .events = POLLIN },
	};
	struct uffd_msg msg;
	ssize_t n;

	while (!h->stop) {
		/* poll says nothing but POLLERR of a blocking one: read, a signal ends it */
		if (!h->blocking || h->action == ACT_NONE) {
			if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
				return;
			if (fds[1].revents || fds[2].revents)
				return;
		}
		n = read(h->uffd, &msg, sizeof(msg));
		if (n == sizeof(msg))
			handle_msg(h, &msg);
		else if (errno != EAGAIN && errno != EINTR)
			return;
	}
}

static void *handler_thread(void *arg)
{
	struct handler *h = arg;

	prctl(PR_SET_NAME, "handler");
	h->tid = gettid();
	handler_loop(h, -1);
	h->running = false;
	return NULL;
}

static struct handler *handler_of(int uffd)
{
	for (int i = 0; i < MAX_HANDLERS; i++)
		if (handlers[i].counts && handlers[i].uffd == uffd)
			return &handlers[i];
	return NULL;
}

static int arg_handler(struct json_object *req, struct handler **ret)
{
	int fd, err = need_uffd(req, &fd);

	*ret = handler_of(fd);
	if (!err && !*ret)
		err = fail(ENOENT, "userfaultfd %d has no handler", fd);
	return err;
}

static int handler_new(struct json_object *req, struct handler **ret)
{
	static const struct name_value actions[] = {
		{ "none", ACT_NONE },
		{ "count", ACT_COUNT },
		{ "continue", ACT_CONTINUE },
		{ "copy", ACT_COPY },
	};
	struct handler *h;
	uint64_t action;
	int fd, fl, err = need_uffd(req, &fd);

	if (!err)
		err = arg_name(req, "action", "continue", actions, ARRAY_SIZE(actions), &action);
	if (err)
		return err;
	h = handler_of(fd);
	if (h && h->running)
		return fail(EBUSY, "userfaultfd %d has a handler", fd);
	for (int i = 0; !h && i < MAX_HANDLERS; i++)
		if (!handlers[i].counts)
			h = &handlers[i];
	fl = fcntl(fd, F_GETFL);
	if (!h || fl < 0)
		return h ? fail_errno("uffd") : fail(ENOSPC, "too many handlers");
	if (h->counts)
		munmap(h->counts, sizeof(*h->counts));
	*h = (struct handler){ .uffd = fd, .action = (enum action)action };
	h->blocking = !(fl & O_NONBLOCK);
	h->wp = arg_bool(req, "wp", false);
	h->seed = arg_u64(req, "seed", 1);
	h->stop_fd = eventfd(0, EFD_CLOEXEC);
	h->counts = mmap(NULL, sizeof(*h->counts), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (h->stop_fd < 0 || h->counts == MAP_FAILED)
		return fail_errno("handler");
	h->counts->fork_fd = -1;
	*ret = h;
	return 0;
}

static bool is_asleep(pid_t tid)
{
	char path[64], text[128] = "";
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	state = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
	fclose(f);
	return state && !strncmp(state, ") S", 3);
}

/* Returns when it waits for messages, as all that asks for readers can see from then on. */
static int cmd_handler(struct json_object *req, struct json_object *res)
{
	struct handler *h;
	int err = handler_new(req, &h);

	(void)res;
	if (err)
		return err;
	h->running = true;
	err = start_thread(handler_thread, h, SMALL_STACK, &h->thread);
	if (err)
		h->running = false;
	while (h->running && !(h->tid && is_asleep(h->tid)))
		sched_yield();
	return err;
}

static int cmd_handler_stats(struct json_object *req, struct json_object *res)
{
	struct handler *h;
	int err = arg_handler(req, &h);

	if (err)
		return err;
	put_u64(res, "minor", h->counts->minor);
	put_u64(res, "missing", h->counts->missing);
	put_u64(res, "wp", h->counts->wp);
	put_u64(res, "rwp", h->counts->rwp);
	put_u64(res, "fork", h->counts->fork);
	put_u64(res, "remap", h->counts->remap);
	put_u64(res, "remove", h->counts->remove);
	put_u64(res, "unmap", h->counts->unmap);
	put_u64(res, "errors", h->counts->errors);
	put_int(res, "fork_fd", h->counts->fork_fd);
	return 0;
}

static int cmd_handler_stop(struct json_object *req, struct json_object *res)
{
	struct handler *h;
	int err = arg_handler(req, &h);

	(void)res;
	if (err)
		return err;
	if (!h->running && !h->thread)
		return fail(ESRCH, "the handler has ended");
	h->stop = true;
	if (eventfd_write(h->stop_fd, 1))
		return fail_errno("eventfd");
	if (h->child) {
		waitpid(h->child, NULL, 0);
	} else {
		while (h->blocking && h->running) { /* between its test of stop and its read */
			pthread_kill(h->thread, SIGUSR1);
			usleep(1000);
		}
		pthread_join(h->thread, NULL);
	}
	h->running = false;
	h->thread = 0;
	close(h->stop_fd);
	return 0;
}

static int cmd_read_msg(struct json_object *req, struct json_object *res)
{
	struct pollfd p = { .events = POLLIN };
	struct uffd_msg msg;
	int n, err = need_uffd(req, &p.fd);

	if (err)
		return err;
	if (!(fcntl(p.fd, F_GETFL) & O_NONBLOCK))
		return fail(EINVAL, "a blocking userfaultfd would block this process's main thread");
	n = poll(&p, 1, arg_int(req, "timeout_ms", WAIT_MS));
	if (n <= 0)
		return n ? fail_errno("poll") : fail(ETIMEDOUT, "no message");
	if (read(p.fd, &msg, sizeof(msg)) != sizeof(msg))
		return fail_errno("read");
	put_int(res, "event", msg.event);
	if (msg.event == UFFD_EVENT_PAGEFAULT) {
		put_hex(res, "addr", msg.arg.pagefault.address);
		put_hex(res, "flags", msg.arg.pagefault.flags);
		put_int(res, "tid", msg.arg.pagefault.feat.ptid);
	} else if (msg.event == UFFD_EVENT_FORK) {
		put_int(res, "fd", msg.arg.fork.ufd);
	} else { /* remap has {from, to, len}, remove and unmap {start, end} */
		put_hex(res, "addr", msg.arg.reserved.reserved1);
		put_hex(res, msg.event == UFFD_EVENT_REMAP ? "to" : "end",
			msg.arg.reserved.reserved2);
	}
	return 0;
}

/* ---- processes and descriptors ---- */

static bool kept(struct job *j, int fd)
{
	if (fd == lifeline[0] || (j->handler && fd == j->handler->stop_fd))
		return true;
	for (size_t i = 0; i < json_object_array_length(j->keep); i++)
		if (json_object_get_int(json_object_array_get_idx(j->keep, i)) == fd)
			return true;
	return false;
}

static void close_others(struct job *j)
{
	unsigned int end = 3;

	for (unsigned int fd = 3; fd < 4096; fd++) {
		if (kept(j, (int)fd))
			end = fd + 1;
		else
			close((int)fd);
	}
	close_range(end, UINT_MAX, 0);
}

static void __attribute__((noreturn)) child_main(struct job *j)
{
	char byte;

	close(lifeline[1]);
	if (j->keep)
		close_others(j);
	if (j->handler)
		handler_loop(j->handler, lifeline[0]);
	else if (read(lifeline[0], &byte, 1) < 0)
		_exit(1);
	_exit(0);
}

/*
 * From a worker thread, since EVENT_FORK blocks. No PR_SET_PDEATHSIG, which would fire at that thread's
 * end; and no fork(3), which holds malloc's locks while it blocks: the child must not allocate.
 */
static int run_fork(struct job *j)
{
	pid_t pid = _Fork();

	if (!pid)
		child_main(j);
	j->result = (uint64_t)pid;
	return pid < 0 ? -errno : 0;
}

static int fork_job(struct json_object *req, struct json_object *res, struct job *j)
{
	int err;

	j->run = run_fork;
	err = job_run(req, res, j);
	if (!err && j->done)
		put_int(res, "pid", (int)j->result);
	return err;
}

static int cmd_fork(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = job_new(req, &j);

	if (err)
		return err;
	j->keep = json_object_get(json_object_object_get(req, "keep"));
	return fork_job(req, res, j);
}

static int run_heir(void *arg)
{
	struct job *j = arg;

	while (getppid() == j->arg)
		usleep(1000);
	for (uint64_t i = 0; i < j->len; i += j->page)
		access_read(j, (char *)j->addr + i);
	_exit(0);
}

/* A process in this one's memory, which touches the range when this one has ended. */
static int cmd_heir(struct json_object *req, struct json_object *res)
{
	struct job *j;
	char *stack;
	pid_t pid;
	int err = job_new(req, &j);

	if (!err)
		err = arg_range(req, j);
	if (err)
		return err;
	j->arg = getpid();
	stack = malloc(SMALL_STACK);
	pid = stack ? clone(run_heir, stack + SMALL_STACK, CLONE_VM | SIGCHLD, j) : -1;
	put_int(res, "pid", pid);
	return pid < 0 ? fail_errno("clone") : 0;
}

static int cmd_child_handler(struct json_object *req, struct json_object *res)
{
	struct handler *h;
	struct job *j;
	int err = job_new(req, &j);

	if (!err)
		err = handler_new(req, &h);
	if (err)
		return err;
	if (h->blocking)
		return fail(EINVAL, "a child's handler can't be stopped on a blocking userfaultfd");
	j->handler = h;
	j->keep = json_object_new_array();
	json_object_array_add(j->keep, json_object_new_int(h->uffd));
	err = fork_job(req, res, j);
	h->child = err ? 0 : (pid_t)j->result;
	h->running = !err;
	return err;
}

static int cmd_kill_child(struct json_object *req, struct json_object *res)
{
	pid_t pid = arg_int(req, "pid", 0);

	(void)res;
	if (pid <= 0)
		return fail(EINVAL, "\"pid\" must be a child's");
	if (waitpid(pid, NULL, WNOHANG))
		return fail_errno("child");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < MAX_HANDLERS; i++)
		if (handlers[i].child == pid)
			handlers[i].running = false;
	return 0;
}

/* Answers with the greeting of the new program. */
static int cmd_exec(struct json_object *req, struct json_object *res)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	(void)req;
	(void)res;
	if (n < 0)
		return fail_errno("/proc/self/exe");
	path[n] = '\0';
	execl(path, path, NULL);
	return fail_errno("exec");
}

/* Puts a userfaultfd in flight over a socket: in no process's table once it is closed here. */
static int cmd_send_uffd(struct json_object *req, struct json_object *res)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd, pair[2], err = need_uffd(req, &fd);

	if (err)
		return err;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
	    sendmsg(pair[0], &msg, 0) != 1)
		return fail_errno("socket");
	put_int(res, "socket", pair[1]);
	return 0;
}

static int cmd_recv_uffd(struct json_object *req, struct json_object *res)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(arg_int(req, "socket", -1), &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
		return fail_errno("socket");
	if (!CMSG_FIRSTHDR(&msg))
		return fail(ENOENT, "no descriptor came");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	put_int(res, "fd", fd);
	return 0;
}

static int cmd_close(struct json_object *req, struct json_object *res)
{
	(void)res;
	return close(arg_int(req, "fd", -1)) ? fail_errno("close") : 0;
}

static int cmd_dup(struct json_object *req, struct json_object *res)
{
	int fd = fcntl(arg_int(req, "fd", -1), F_DUPFD_CLOEXEC, 3);

	put_int(res, "fd", fd);
	return fd < 0 ? fail_errno("dup") : 0;
}

static int cmd_comm(struct json_object *req, struct json_object *res)
{
	(void)res;
	return prctl(PR_SET_NAME, arg_str(req, "name", "")) ? fail_errno("prctl") : 0;
}

static int cmd_drop_privs(struct json_object *req, struct json_object *res)
{
	uid_t uid = (uid_t)arg_u64(req, "uid", 65534);
	gid_t gid = (gid_t)arg_u64(req, "gid", uid);

	(void)res;
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return fail_errno("setresuid");
	/* A change of credentials cleared both: PR_SET_DUMPABLE(2const), PR_SET_PDEATHSIG(2const) */
	if (prctl(PR_SET_DUMPABLE, 1) || prctl(PR_SET_PDEATHSIG, SIGKILL))
		return fail_errno("prctl");
	return 0;
}

static void serve_lines(void);
static bool leader_ends;

static void *idle_thread(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static int cmd_threads_idle(struct json_object *req, struct json_object *res)
{
	int err = 0;

	(void)res;
	for (int i = 0; !err && i < arg_int(req, "n", 1); i++)
		err = start_thread(idle_thread, NULL, 64 << 10, NULL);
	return err;
}

static int cmd_open_files(struct json_object *req, struct json_object *res)
{
	struct rlimit limit;

	(void)res;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < arg_int(req, "n", 1); i++)
		if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
			return fail_errno("/dev/null");
	return 0;
}

/* The process's first thread ends, and leaves talking to another. */
static void *go_on_talking(void *arg)
{
	serve_lines();
	return arg;
}

static int cmd_leader_ends(struct json_object *req, struct json_object *res)
{
	(void)req, (void)res;
	if (getpid() != gettid())
		return fail(EINVAL, "it has ended");
	leader_ends = true;
	return 0;
}

static int cmd_exit(struct json_object *req, struct json_object *res)
{
	(void)res;
	_exit(arg_int(req, "code", 0)); /* without an answer */
}

/* ---- the commands ---- */

#define RANGE "id addr offset len "

static const struct command {
	const char *name;
	int (*run)(struct json_object *req, struct json_object *res);
	const char *args; /* all that it knows */
} commands[] = {
	{ "uffd", cmd_uffd, "features user_mode_only nonblock handshake cloexec" },
	{ "handshake", cmd_handshake, "uffd features" },
	{ "map", cmd_map,
	  "kind size shared writable noreserve name path of offset align addr huge_size" },
	{ "maps_many", cmd_maps_many, "n populate_bytes" },
	{ "churn", cmd_churn, "threads" },
	{ "fill", cmd_fill, RANGE "seed through" },
	{ "fallocate", cmd_fallocate, RANGE "mode" },
	{ "truncate", cmd_truncate, "id size" },
	{ "register", cmd_register, RANGE "uffd mode" },
	{ "unregister", cmd_unregister, RANGE "uffd" },
	{ "continue", cmd_continue, RANGE "uffd wp wake" },
	{ "wake", cmd_wake, RANGE "uffd" },
	{ "writeprotect", cmd_writeprotect, RANGE "uffd protect" },
	{ "rwprotect", cmd_rwprotect, RANGE "uffd protect" },
	{ "copy", cmd_copy, RANGE "uffd seed" },
	{ "munmap", cmd_munmap, "id offset len async" },
	{ "mremap", cmd_mremap, "id new_size move async" },
	{ "mprotect", cmd_mprotect, RANGE "prot async" },
	{ "madvise", cmd_madvise, RANGE "advice async" },
	{ "touch", cmd_touch,
	  RANGE "access threads split stride seed value order loop zap delay_us name" },
	{ "join", cmd_join, "thread timeout_ms" },
	{ "status", cmd_status, "thread" },
	{ "stop", cmd_stop, "thread" },
	{ "check", cmd_check, RANGE "seed tail async" },
	{ "check_file", cmd_check_file, "id offset len seed tail" },
	{ "peek", cmd_peek, RANGE "through" },
	{ "poke", cmd_poke, RANGE "hex through async" },
	{ "handler", cmd_handler, "uffd action wp seed" },
	{ "handler_stats", cmd_handler_stats, "uffd" },
	{ "handler_stop", cmd_handler_stop, "uffd" },
	{ "child_handler", cmd_child_handler, "uffd action wp seed" },
	{ "read_msg", cmd_read_msg, "uffd timeout_ms" },
	{ "fork", cmd_fork, "keep async" },
	{ "heir", cmd_heir, RANGE },
	{ "kill_child", cmd_kill_child, "pid" },
	{ "exec", cmd_exec, "" },
	{ "send_uffd", cmd_send_uffd, "uffd" },
	{ "recv_uffd", cmd_recv_uffd, "socket" },
	{ "close", cmd_close, "fd" },
	{ "dup", cmd_dup, "fd" },
	{ "comm", cmd_comm, "name" },
	{ "drop_privs", cmd_drop_privs, "uid gid" },
	{ "threads_idle", cmd_threads_idle, "n" },
	{ "open_files", cmd_open_files, "n" },
	{ "leader_ends", cmd_leader_ends, "" },
	{ "exit", cmd_exit, "code" },
};

static bool is_word_of(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += len)
		if ((p == list || p[-1] == ' ') && (!p[len] || p[len] == ' '))
			return true;
	return false;
}

static int dispatch(struct json_object *req, struct json_object *res)
{
	const char *name = arg_str(req, "cmd", "");

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name))
			continue;
		json_object_object_foreach(req, key, value) {
			(void)value;
			if (strcmp(key, "cmd") && !is_word_of(commands[i].args, key))
				return fail(EINVAL, "%s knows no argument \"%s\"", name, key);
		}
		return commands[i].run(req, res);
	}
	return fail(ENOSYS, "unknown command \"%s\"", name);
}

static void answer(struct json_object *res, int err)
{
	const char *text;

	json_object_object_add(res, "ok", json_object_new_boolean(!err));
	if (err) {
		json_object_object_add(res, "error", json_object_new_string(error_text));
		put_int(res, "errno", -err);
	}
	text = json_object_to_json_string_ext(res, JSON_C_TO_STRING_PLAIN);
	if (dprintf(STDOUT_FILENO, "%s\n", text) < 0)
		_exit(1);
	json_object_put(res);
}

static void serve_line(const char *line)
{
	struct json_object *req = json_tokener_parse(line), *res = json_object_new_object();
	int err;

	if (json_object_is_type(req, json_type_object))
		err = dispatch(req, res);
	else
		err = fail(EINVAL, "no JSON object");
	answer(res, err);
	json_object_put(req);
}

static void setup(void)
{
	struct sigaction fault = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
	struct sigaction wakeup = { .sa_handler = on_wakeup };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	scratch[0]++;
	sigaction(SIGBUS, &fault, NULL);
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGUSR1, &wakeup, NULL);
	if (pipe2(lifeline, O_CLOEXEC))
		_exit(1);
}

static void serve_lines(void)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		serve_line(line);
		if (getpid() == gettid() && leader_ends) {
			if (start_thread(go_on_talking, NULL, SMALL_STACK, NULL))
				_exit(1);
			pthread_exit(NULL);
		}
	}
	_exit(0); /* threads may be blocked for good */
}

int main(void)
{
	struct json_object *greeting = json_object_new_object();

	setup();
	put_int(greeting, "pid", getpid());
	answer(greeting, 0);
	serve_lines();
}
