// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a userfaultfd costs the kernel: prints the median time of a fault that a second thread resolves, of the ioctls
 * without a waiter, and of the last close while many threads wait. For a guest whose clock counts instructions (tests/bench/tracepoints.py).
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NR_PAGES 2001
#define NR_WAITERS 1000
#define NR_CLOSES 11
#define PAGE 4096UL

static int uffd;
static char *minor, *missing, *contents;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void must(unsigned long request, void *arg)
{
	if (ioctl(uffd, request, arg))
		err(1, "ioctl %#lx", request);
}

static void do_continue(char *page)
{
	struct uffdio_continue arg = { .range = { (uintptr_t)page, PAGE } };

	must(UFFDIO_CONTINUE, &arg);
}

static void *handler(void *arg)
{
	struct uffd_msg msg;

	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg))
		do_continue((char *)(uintptr_t)msg.arg.pagefault.address);
	return arg;
}

static void fault(size_t i)
{
	*(volatile char *)(minor + i * PAGE);
}

static void continue_one(size_t i)
{
	do_continue(minor + i * PAGE);
}

static void copy_one(size_t i)
{
	struct uffdio_copy arg = { .dst = (uintptr_t)(missing + i * PAGE), .src = (uintptr_t)contents, .len = PAGE };

	must(UFFDIO_COPY, &arg);
}

static void wake_one(size_t i)
{
	struct uffdio_range arg = { (uintptr_t)(missing + i * PAGE), PAGE };

	must(UFFDIO_WAKE, &arg);
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The median: timer interrupts fall into some of the runs. */
static void print_median(const char *name, uint64_t *took, size_t nr)
{
	qsort(took, nr, sizeof(*took), by_value);
	printf("%s %" PRIu64 "\n", name, took[nr / 2]);
}

static void measure(const char *name, void (*run)(size_t i))
{
	static uint64_t took[NR_PAGES];

	for (size_t i = 0; i < NR_PAGES; i++) {
		took[i] = now_ns();
		run(i);
		took[i] = now_ns() - took[i];
	}
	print_median(name, took, NR_PAGES);
}

static char *map(int fd, uint64_t mode)
{
	struct uffdio_register reg = { .mode = mode };
	char *p = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED,
		       fd, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	reg.range = (struct uffdio_range){ (uintptr_t)p, NR_PAGES * PAGE };
	if (mode)
		must(UFFDIO_REGISTER, &reg);
	return p;
}

static void open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MINOR_SHMEM };

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0)
		err(1, "userfaultfd");
	must(UFFDIO_API, &api);
}

static void *wait_for_page(void *page)
{
	*(volatile char *)page;
	return NULL;
}

static bool all_wait(void)
{
	char path[64], line[64];
	unsigned int total = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", uffd);
	f = fopen(path, "re");
	if (!f)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "total: %u", &total);
	fclose(f);
	return total == NR_WAITERS;
}

/* The last close wakes them all; they run when this thread, which comes before them, waits. */
static uint64_t close_one(void)
{
	static pthread_t threads[NR_WAITERS];
	pthread_attr_t attr;
	uint64_t took;
	char *area;

	open_uffd();
	area = map(-1, UFFDIO_REGISTER_MODE_MISSING);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	for (size_t i = 0; i < NR_WAITERS; i++)
		if (pthread_create(&threads[i], &attr, wait_for_page, area + i * PAGE))
			errx(1, "no thread");
	while (!all_wait())
		usleep(1000);
	took = now_ns();
	close(uffd);
	took = now_ns() - took;
	for (size_t i = 0; i < NR_WAITERS; i++)
		pthread_join(threads[i], NULL);
	pthread_attr_destroy(&attr);
	munmap(area, NR_PAGES * PAGE);
	return took;
}

static void measure_close(void)
{
	struct sched_param first = { .sched_priority = 1 };
	uint64_t took[NR_CLOSES];

	if (pthread_setschedparam(pthread_self(), SCHED_FIFO | SCHED_RESET_ON_FORK, &first))
		errx(1, "SCHED_FIFO");
	for (size_t i = 0; i < NR_CLOSES; i++)
		took[i] = close_one();
	print_median("close", took, NR_CLOSES);
}

int main(void)
{
	int fd = memfd_create("cost", 0);
	pthread_t thread;

	if (fd < 0 || fallocate(fd, 0, 0, NR_PAGES * PAGE))
		err(1, "memfd");
	open_uffd();
	contents = map(-1, 0);
	memset(contents, 1, PAGE);
	missing = map(-1, UFFDIO_REGISTER_MODE_MISSING);
	minor = map(fd, UFFDIO_REGISTER_MODE_MINOR);
	measure("UFFDIO_WAKE", wake_one);
	measure("UFFDIO_COPY", copy_one);
	measure("UFFDIO_CONTINUE", continue_one);
	if (madvise(minor, NR_PAGES * PAGE, MADV_DONTNEED)) /* the pages stay in the page cache */
		err(1, "madvise");
	if (pthread_create(&thread, NULL, handler, NULL))
		errx(1, "no thread");
	measure("fault", fault);
	measure_close();
	return 0;
}
