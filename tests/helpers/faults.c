// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Minor faults, as fast as they are resolved: faults THREADS PAGES own|other CPU random|order [TOUCHES]
 *
 * own: by a child that does what the man page userfaultfd(2) shows, poll, read one message, UFFDIO_CONTINUE. other: by
 * whoever takes the userfaultfd: prints "ready", and begins when a line comes on stdin. Then prints the nanoseconds that
 * the faults took. CPU: where all threads that fault run, the child runs on another one; -1: anywhere. order: each thread
 * touches pages that follow each other. TOUCHES: only so many of the pages. Also prints how long a thread waited at a page,
 * if it did: the 99th percentile, and how many waits there were.
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL

static char *pages;
static uint32_t *order;
static uint64_t *waits; /* nanoseconds, by touch */
static unsigned long nr_threads, nr_pages, nr_touches;
static int uffd;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		err(1, "sched_setaffinity %d", cpu);
}

static void register_pages(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MINOR_SHMEM };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MINOR };
	int fd = memfd_create("faults", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)(nr_pages * PAGE)) || fallocate(fd, 0, 0, (off_t)(nr_pages * PAGE)))
		err(1, "memfd");
	pages = mmap(NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	reg.range = (struct uffdio_range){ (uintptr_t)pages, nr_pages * PAGE };
	if (pages == MAP_FAILED || uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		err(1, "userfaultfd");
}

static void __attribute__((noreturn)) handle(void)
{
	struct uffd_msg msg;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct pollfd p = { .fd = uffd, .events = POLLIN };
		struct uffdio_continue c = {};

		poll(&p, 1, -1);
		if (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		c.range = (struct uffdio_range){ msg.arg.pagefault.address & ~(PAGE - 1), PAGE };
		ioctl(uffd, UFFDIO_CONTINUE, &c);
	}
}

static void *touch(void *arg)
{
	unsigned long share = nr_touches / nr_threads, first = (uintptr_t)arg * share;
	uint64_t began = now_ns(), now;

	for (unsigned long i = first; i < first + share; i++) {
		(void)*(volatile char *)(pages + order[i] * PAGE);
		now = now_ns();
		waits[i] = now - began;
		began = now;
	}
	return NULL;
}

static void choose_order(bool shuffles)
{
	order = calloc(nr_pages, sizeof(*order));
	if (!order)
		err(1, "calloc");
	srandom(1);
	for (unsigned long i = 0; i < nr_pages; i++) {
		unsigned long k = shuffles ? (unsigned long)random() % (i + 1) : i;

		order[i] = order[k];
		order[k] = (uint32_t)i;
	}
}

/* A touch that took less found the page there. */
#define LEAST_WAIT_NS 1500

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void print_waits(uint64_t passed_ns)
{
	unsigned long first = 0, nr;

	qsort(waits, nr_touches, sizeof(*waits), by_size);
	while (first < nr_touches && waits[first] < LEAST_WAIT_NS)
		first++;
	nr = nr_touches - first;
	printf("%" PRIu64 " %" PRIu64 " %lu\n", passed_ns, nr ? waits[first + nr * 99 / 100] : 0, nr);
}

int main(int argc, char **argv)
{
	int cpu = argc > 5 ? atoi(argv[4]) : -1;
	pthread_t *threads;
	uint64_t began;

	if (argc < 6)
		errx(2, "usage: faults THREADS PAGES own|other CPU random|order [TOUCHES]");
	nr_threads = strtoul(argv[1], NULL, 0);
	nr_pages = strtoul(argv[2], NULL, 0);
	nr_touches = argc > 6 ? strtoul(argv[6], NULL, 0) : nr_pages;
	waits = calloc(nr_touches, sizeof(*waits));
	if (!waits || nr_touches > nr_pages)
		errx(2, "no room for so many touches");
	threads = calloc(nr_threads, sizeof(*threads));
	choose_order(!strcmp(argv[5], "random"));
	register_pages();
	if (!strcmp(argv[3], "own")) {
		if (!fork()) {
			if (cpu >= 0)
				pin(!cpu);
			handle();
		}
	} else {
		puts("ready");
		fflush(stdout);
		if (getchar() == EOF)
			return 1;
	}
	if (cpu >= 0)
		pin(cpu);
	began = now_ns();
	for (unsigned long i = 0; i < nr_threads; i++)
		if (pthread_create(&threads[i], NULL, touch, (void *)i))
			errx(1, "pthread_create");
	for (unsigned long i = 0; i < nr_threads; i++)
		pthread_join(threads[i], NULL);
	print_waits(now_ns() - began);
	return 0;
}
