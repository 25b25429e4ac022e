// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a page of shmem and of guest_memfd costs the kernel, on average of many: prints "KIND WHAT NANOSECONDS". For a
 * guest whose clock counts instructions (tests/bench/guest_memfd.py). What a kernel refuses has no line.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef KVM_CREATE_GUEST_MEMFD /* Linux 6.8; the flags 6.18 */
#define KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct kvm_create_guest_memfd)

struct kvm_create_guest_memfd {
	__u64 size;
	__u64 flags;
	__u64 reserved[6];
};
#endif

#define NR_PAGES 4096UL
#define PAGE 4096UL
#define SIZE (NR_PAGES * PAGE)
#define MISSING UFFDIO_REGISTER_MODE_MISSING
#define MINOR UFFDIO_REGISTER_MODE_MINOR

static char *mem, *contents;
static int file, uffd = -1;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- what is done ---- */

static int copy_pages(uint64_t at, uint64_t len)
{
	struct uffdio_copy arg = { .dst = at, .src = (uintptr_t)contents, .len = len };

	return ioctl(uffd, UFFDIO_COPY, &arg);
}

static int zero_pages(uint64_t at, uint64_t len)
{
	struct uffdio_zeropage arg = { .range = { at, len } };

	return ioctl(uffd, UFFDIO_ZEROPAGE, &arg);
}

static int continue_pages(uint64_t at, uint64_t len)
{
	struct uffdio_continue arg = { .range = { at, len } };

	return ioctl(uffd, UFFDIO_CONTINUE, &arg);
}

static int touch_pages(uint64_t at, uint64_t len)
{
	for (uint64_t end = at + len; at < end; at += PAGE)
		*(volatile char *)(uintptr_t)at = 1;
	return 0;
}

static void *handler(void *arg)
{
	struct uffd_msg msg;

	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg)) {
		if (((int (*)(uint64_t, uint64_t))arg)(msg.arg.pagefault.address, PAGE))
			err(1, "the handler");
	}
	return NULL;
}

/* ---- measuring ---- */

static struct {
	const char *what;
	uint64_t mode; /* 0: not registered */
	bool present;
	int (*run)(uint64_t at, uint64_t len);
	int (*handle)(uint64_t at, uint64_t len);
} rows[] = {
	{ "absent", 0, false, touch_pages, NULL },
	{ "present", 0, true, touch_pages, NULL },
	{ "absent,minor-only", MINOR, false, touch_pages, NULL },
	{ "present,missing-only", MISSING, true, touch_pages, NULL },
	{ "UFFDIO_COPY", MISSING, false, copy_pages, NULL },
	{ "UFFDIO_ZEROPAGE", MISSING, false, zero_pages, NULL },
	{ "UFFDIO_CONTINUE", MINOR, true, continue_pages, NULL },
	{ "missing+COPY", MISSING, false, touch_pages, copy_pages },
	{ "minor+CONTINUE", MINOR, true, touch_pages, continue_pages },
};

static bool registered(uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API, .features = 0 };
	struct uffdio_register reg = { .range = { (uintptr_t)mem, SIZE }, .mode = mode };

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		err(1, "userfaultfd");
	return !mode || !ioctl(uffd, UFFDIO_REGISTER, &reg);
}

static void measure(const char *kind, size_t row)
{
	pthread_t thread;
	uint64_t took;

	if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE))
		err(1, "punching a hole");
	if (rows[row].present) {
		char *other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

		touch_pages((uintptr_t)other, SIZE);
		munmap(other, SIZE);
	}
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (mem == MAP_FAILED)
		err(1, "mmap");
	if (registered(rows[row].mode)) {
		if (rows[row].handle && pthread_create(&thread, NULL, handler, (void *)rows[row].handle))
			errx(1, "no thread");
		took = now_ns();
		if (rows[row].run((uintptr_t)mem, SIZE))
			err(1, "%s %s", kind, rows[row].what);
		took = now_ns() - took;
		printf("%s %s %lu\n", kind, rows[row].what, took / NR_PAGES);
		if (rows[row].handle) {
			pthread_cancel(thread);
			pthread_join(thread, NULL);
		}
	}
	close(uffd);
	munmap(mem, SIZE);
}

static int guest_memfd(void)
{
	struct kvm_create_guest_memfd args = { .size = SIZE, .flags = 3 /* MMAP, INIT_SHARED */ };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	return vm < 0 ? -1 : ioctl(vm, KVM_CREATE_GUEST_MEMFD, &args);
}

int main(void)
{
	contents = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(contents, 1, SIZE);
	file = memfd_create("cost", 0);
	if (file < 0 || ftruncate(file, SIZE))
		err(1, "memfd");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		measure("shmem", i);
	close(file);
	file = guest_memfd();
	if (file < 0)
		err(1, "guest_memfd");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		measure("guest_memfd", i);
	return 0;
}
