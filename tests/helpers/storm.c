// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Faults with counts that owe nothing to BPF: what the handlers read, and how often the faulting threads slept.
 *
 * Threads touch pages of their own over and over, handlers resolve them. It says "ready PID", waits for a line on
 * standard input, runs, and prints one line of JSON: touched (pages), messages (read by the handlers), slept (voluntary
 * switches of the faulting threads, rusage(2)); then it waits for the end of standard input.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_THREADS 64
#define MAX_BATCH 64
#define PAGE 4096
#define PASS_PAGES 512 /* of a thread, before it drops them and begins anew */

static struct {
	uint64_t nr_faults;
	unsigned int nr_threads, nr_uffds, nr_handlers, nr_helpers, nr_busy, batch, delay_us, rest_us, seconds;
	const char *how; /* the call that reads messages */
	bool spin;	 /* handlers do not sleep */
	bool minor;
	int fault_cpu, handle_cpu; /* -1: any */
} opts = { 100000, 2, 1, 1, 0, 0, 1, 0, 0, 0, "read", false, false, -1, -1 };

struct region {
	char *addr;
	int uffd;
};

static struct region regions[MAX_THREADS];
static int uffds[MAX_THREADS];
static atomic_bool enough; /* faults */
static atomic_bool over;
static atomic_ullong touched, messages, slept;
/* Threads that begin and end change the memory's mappings, which others would wait for. */
static pthread_barrier_t together;

static void die(const char *what)
{
	fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

/* ---- who faults ---- */

static uint64_t nr_slept(void)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	return (uint64_t)ru.ru_nvcsw;
}

static void *fault(void *arg)
{
	const struct region *r = arg;
	uint64_t share = opts.nr_faults / opts.nr_threads, done = 0, sleeps = 0;

	pin(opts.fault_cpu);
	pthread_barrier_wait(&together);
	while (!enough && (opts.seconds || done < share)) {
		uint64_t n = opts.seconds || share - done > PASS_PAGES ? PASS_PAGES : share - done, before;

		if (madvise(r->addr, PASS_PAGES * PAGE, MADV_DONTNEED))
			die("madvise");
		before = nr_slept();
		for (uint64_t i = 0; i < n; i++)
			(void)*(volatile char *)(r->addr + i * PAGE);
		sleeps += nr_slept() - before;
		done += n;
	}
	touched += done;
	slept += sleeps;
	pthread_barrier_wait(&together);
	return NULL;
}

/* ---- who resolves ---- */

static int resolve(int uffd, uint64_t addr, uint64_t len)
{
	struct uffdio_range range = { addr, len };
	struct uffdio_zeropage zero = { .range = range };
	struct uffdio_continue cont = { .range = range };

	return opts.minor ? ioctl(uffd, UFFDIO_CONTINUE, &cont) : ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
}

/* No buffer holds whole messages, but before Linux 6.10, which reads into one after the other and refuses these. */
static atomic_bool split = true;

static ssize_t read_messages(int uffd, struct uffd_msg *msgs)
{
	size_t nr = 0, left = opts.batch * sizeof(*msgs);
	bool pieces = split;
	struct iovec iov[2 * MAX_BATCH];
	ssize_t n;

	if (!strcmp(opts.how, "read"))
		return read(uffd, msgs, left);
	for (char *at = (char *)msgs; left; nr++) {
		size_t len = pieces ? (nr % 2 ? 40 : 24) : sizeof(*msgs);

		iov[nr].iov_base = at;
		iov[nr].iov_len = len < left ? len : left;
		at += iov[nr].iov_len;
		left -= iov[nr].iov_len;
	}
	n = !strcmp(opts.how, "readv") ? readv(uffd, iov, (int)nr) : preadv2(uffd, iov, (int)nr, -1, 0);
	if (n >= 0 || errno != EINVAL || !pieces)
		return n;
	split = false;
	return read_messages(uffd, msgs);
}

static void *handle(void *arg)
{
	int uffd = *(int *)arg;
	struct pollfd p = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msgs[MAX_BATCH];
	ssize_t n;

	pin(opts.handle_cpu);
	while (!over) {
		if (!opts.spin && poll(&p, 1, 10) <= 0)
			continue;
		if (opts.rest_us)
			usleep(opts.rest_us);
		n = read_messages(uffd, msgs);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			die(opts.how);
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(*msgs); i++) {
			if (msgs[i].event != UFFD_EVENT_PAGEFAULT)
				die("a message of no fault");
			messages++;
			if (opts.delay_us)
				usleep(opts.delay_us);
			/* A helper was here before: its thread may sleep all the same. */
			if (resolve(uffd, msgs[i].arg.pagefault.address & ~(uint64_t)(PAGE - 1), PAGE)) {
				struct uffdio_range range = { msgs[i].arg.pagefault.address & ~(uint64_t)(PAGE - 1),
							      PAGE };

				ioctl(uffd, UFFDIO_WAKE, &range);
			}
		}
	}
	return NULL;
}

/* Resolves ahead, without a message. */
static void *help(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	while (!over) {
		const struct region *r = &regions[(unsigned int)rand_r(&seed) % opts.nr_threads];

		resolve(r->uffd, (uint64_t)r->addr + (uint64_t)(rand_r(&seed) % PASS_PAGES) * PAGE, PAGE);
	}
	return NULL;
}

static void *burn(void *arg)
{
	(void)arg;
	while (!over)
		;
	return NULL;
}

/* ---- setting up ---- */

static int new_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = opts.minor ? UFFD_FEATURE_MINOR_SHMEM : 0 };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		die("userfaultfd");
	return fd;
}

static void make_region(struct region *r, int uffd)
{
	struct uffdio_register reg = { .mode = opts.minor ? UFFDIO_REGISTER_MODE_MINOR : UFFDIO_REGISTER_MODE_MISSING };
	size_t size = PASS_PAGES * PAGE;
	int fd = -1;

	if (opts.minor) {
		fd = memfd_create("storm", MFD_CLOEXEC);
		if (fd < 0 || posix_fallocate(fd, 0, (off_t)size))
			die("memfd");
	}
	r->uffd = uffd;
	r->addr = mmap(NULL, size, PROT_READ | PROT_WRITE, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (r->addr == MAP_FAILED)
		die("mmap");
	madvise(r->addr, size, MADV_NOHUGEPAGE);
	reg.range = (struct uffdio_range){ (uint64_t)r->addr, size };
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		die("UFFDIO_REGISTER");
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	errno = pthread_create(&t, NULL, fn, arg);
	if (errno)
		die("pthread_create");
	return t;
}

static unsigned int number(const char *arg, unsigned int max)
{
	unsigned long n = strtoul(arg, NULL, 0);

	return n > max ? max : (unsigned int)n;
}

static void parse(int argc, char **argv)
{
	static const struct {
		char name;
		unsigned int *to, max;
	} numbers[] = {
		{ 't', &opts.nr_threads, MAX_THREADS },	 { 'u', &opts.nr_uffds, MAX_THREADS },
		{ 'r', &opts.nr_handlers, MAX_THREADS }, { 'k', &opts.nr_helpers, MAX_THREADS },
		{ 'y', &opts.nr_busy, MAX_THREADS },	 { 'b', &opts.batch, MAX_BATCH },
		{ 'd', &opts.delay_us, 1000000 },	 { 'e', &opts.rest_us, 1000000 },
		{ 's', &opts.seconds, 1000000 },
	};
	int c;

	while ((c = getopt(argc, argv, "n:t:u:r:k:y:b:d:e:s:c:F:H:pm")) != -1) {
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			if (c == numbers[i].name)
				*numbers[i].to = number(optarg, numbers[i].max);
		opts.spin |= c == 'p';
		opts.minor |= c == 'm';
		if (c == '?')
			exit(2);
		if (c == 'n')
			opts.nr_faults = strtoull(optarg, NULL, 0);
		if (c == 'c')
			opts.how = optarg;
		if (c == 'F')
			opts.fault_cpu = atoi(optarg);
		if (c == 'H')
			opts.handle_cpu = atoi(optarg);
	}
	if (!opts.nr_threads || !opts.nr_uffds || !opts.batch)
		exit(2);
}

int main(int argc, char **argv)
{
	pthread_t faulting[MAX_THREADS];
	char line[16];

	/* It may last long: not longer than who asked for it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	parse(argc, argv);
	for (unsigned int i = 0; i < opts.nr_uffds; i++)
		uffds[i] = new_uffd();
	for (unsigned int i = 0; i < opts.nr_threads; i++)
		make_region(&regions[i], uffds[i % opts.nr_uffds]);
	for (unsigned int i = 0; i < opts.nr_uffds * opts.nr_handlers; i++)
		start(handle, &uffds[i % opts.nr_uffds]);
	printf("ready %d\n", getpid());
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	for (unsigned int i = 0; i < opts.nr_helpers; i++)
		start(help, (void *)(uintptr_t)(i + 1));
	for (unsigned int i = 0; i < opts.nr_busy; i++)
		start(burn, NULL);
	pthread_barrier_init(&together, NULL, opts.nr_threads);
	for (unsigned int i = 0; i < opts.nr_threads; i++)
		faulting[i] = start(fault, &regions[i]);
	if (opts.seconds) {
		sleep(opts.seconds);
		enough = true;
	}
	for (unsigned int i = 0; i < opts.nr_threads; i++)
		pthread_join(faulting[i], NULL);
	usleep(20000); /* messages whose faults were over before they were read */
	printf("{\"touched\":%llu,\"messages\":%llu,\"slept\":%llu}\n", touched, messages, slept);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
	return 0;
}
