// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gmem-stress [-t SECONDS]: userfaultfd on a guest_memfd with everything at once; prints one TAP line.
 *
 * Threads read through a registered mapping, or have the kernel read. Handlers resolve their faults: missing ones by
 * UFFDIO_COPY, minor ones by filling the page through a second mapping and UFFDIO_CONTINUE. Meanwhile holes are
 * punched, pages fallocated, PTEs dropped, memory of other contents freed, and further mappings registered, read and
 * given up.
 *
 * Word i of page p always is word(p, i). A page that is punched out between filling and continuing, and is put back
 * by another, is rightly zero: in the second half of the file that may happen, so that a word may be 0 too. In the
 * first half a lock per page keeps the two apart, and nothing but the contents is right.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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
#ifndef GUEST_MEMFD_FLAG_MMAP
#define GUEST_MEMFD_FLAG_MMAP (1ULL << 0)
#define GUEST_MEMFD_FLAG_INIT_SHARED (1ULL << 1)
#endif

#define PAGE 4096UL
#define NR_WORDS (PAGE / sizeof(uint64_t))
#define NR_PAGES 512UL
#define NR_STRICT (NR_PAGES / 2)
#define SIZE (NR_PAGES * PAGE)
#define NR_READERS 8
#define NR_HANDLERS 2
#define STUCK_SECONDS 120 /* without one page read by some reader; an emulated machine is slow */

static int gmem, uffd;
static char *registered, *second;
static pthread_mutex_t locks[NR_STRICT];
static atomic_bool stop;
static atomic_ulong reads[NR_READERS];
static atomic_ulong nr_missing, nr_minor, nr_copied, nr_continued, nr_exist, nr_gone, nr_punched, nr_remapped;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	va_list ap;

	printf("not ok 1 - gmem-stress: ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

static void skip(const char *why)
{
	printf("1..1\nok 1 - gmem-stress # SKIP %s: %s\n", why, strerror(errno));
	exit(0);
}

static uint64_t word(unsigned long page, unsigned long i)
{
	return (page * NR_WORDS + i + 1) * 0x9e3779b97f4a7c15;
}

static void fill(char *to, unsigned long page)
{
	for (unsigned long i = 0; i < NR_WORDS; i++)
		((volatile uint64_t *)to)[i] = word(page, i);
}

static void check(const char *from, unsigned long page, bool zero_too, const char *how)
{
	for (unsigned long i = 0; i < NR_WORDS; i++) {
		uint64_t got = ((const volatile uint64_t *)from)[i];

		if (got != word(page, i) && !(zero_too && !got))
			fail("page %lu word %lu is %#lx, read %s", page, i, (unsigned long)got, how);
	}
}

/* First and last+1 of a few pages, now and then of all. */
static void some_pages(unsigned int *seed, unsigned long *first, unsigned long *end)
{
	*first = (unsigned long)rand_r(seed) % NR_PAGES;
	*end = *first + 1 + (unsigned long)rand_r(seed) % 8;
	if (*end > NR_PAGES)
		*end = NR_PAGES;
	if (rand_r(seed) % 64 == 0) {
		*first = 0;
		*end = NR_PAGES;
	}
}

static void lock_pages(unsigned long first, unsigned long end)
{
	for (unsigned long p = first; p < end && p < NR_STRICT; p++)
		pthread_mutex_lock(&locks[p]);
}

static void unlock_pages(unsigned long first, unsigned long end)
{
	for (unsigned long p = first; p < end && p < NR_STRICT; p++)
		pthread_mutex_unlock(&locks[p]);
}

static int open_uffd(const char *mapping)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range = { (uintptr_t)mapping, SIZE },
				       .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		return -1;
	return fd;
}

static char *map_gmem(void)
{
	char *mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, gmem, 0);

	if (mem == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	return mem;
}

/* ---- the threads ---- */

static void *reader(void *arg)
{
	unsigned long me = (uintptr_t)arg;
	unsigned int seed = (unsigned int)me;
	char copy[PAGE];

	while (!stop) {
		unsigned long page = (unsigned long)rand_r(&seed) % NR_PAGES;
		struct iovec from = { registered + page * PAGE, PAGE }, to = { copy, PAGE };

		if (me % 4) {
			check(registered + page * PAGE, page, page >= NR_STRICT, "through the mapping");
		} else {
			if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != PAGE)
				fail("process_vm_readv of page %lu: %s", page, strerror(errno));
			check(copy, page, page >= NR_STRICT, "by the kernel");
		}
		reads[me]++;
	}
	return NULL;
}

/* What is there already, or is no longer, is for the thread to find out: it faults again. */
static void resolve(unsigned long page, bool minor)
{
	char contents[PAGE];
	char *at = registered + page * PAGE;
	struct uffdio_range range = { (uintptr_t)at, PAGE };
	struct uffdio_continue cont = { .range = range };
	struct uffdio_copy copy = { .dst = (uintptr_t)at, .src = (uintptr_t)contents, .len = PAGE };
	int r;

	if (minor) {
		fill(second + page * PAGE, page);
		r = ioctl(uffd, UFFDIO_CONTINUE, &cont);
	} else {
		fill(contents, page);
		r = ioctl(uffd, UFFDIO_COPY, &copy);
	}
	if (!r)
		atomic_fetch_add(minor ? &nr_continued : &nr_copied, 1);
	else if (errno == EEXIST)
		nr_exist++;
	else if (errno == EFAULT && minor && page >= NR_STRICT)
		nr_gone++;
	else if (errno != EAGAIN)
		fail("%s of page %lu: %s", minor ? "CONTINUE" : "COPY", page, strerror(errno));
	if (r && ioctl(uffd, UFFDIO_WAKE, &range))
		fail("WAKE: %s", strerror(errno));
}

static void *handler(void *arg)
{
	struct pollfd pfd = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;
	(void)arg;

	while (!stop) {
		if (poll(&pfd, 1, 100) < 1)
			continue;
		if (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue; /* the other handler has it */

		unsigned long page = (msg.arg.pagefault.address - (uintptr_t)registered) / PAGE;
		bool minor = msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR;

		atomic_fetch_add(minor ? &nr_minor : &nr_missing, 1);
		lock_pages(page, page + 1);
		resolve(page, minor);
		unlock_pages(page, page + 1);
	}
	return NULL;
}

static void *puncher(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	unsigned long first, end;

	while (!stop) {
		some_pages(&seed, &first, &end);
		lock_pages(first, end);
		if (fallocate(gmem, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(first * PAGE),
			      (off_t)((end - first) * PAGE)))
			fail("punching a hole: %s", strerror(errno));
		unlock_pages(first, end);
		nr_punched++;
		usleep((useconds_t)rand_r(&seed) % 500);
	}
	return NULL;
}

/* Pages that are in the file and have not been cleared, and pages that are there and not mapped. */
static void *preparer(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	unsigned long first, end;

	while (!stop) {
		some_pages(&seed, &first, &end);
		if (fallocate(gmem, FALLOC_FL_KEEP_SIZE, (off_t)(first * PAGE), (off_t)((end - first) * PAGE)))
			fail("fallocate: %s", strerror(errno));
		some_pages(&seed, &first, &end);
		if (madvise(registered + first * PAGE, (end - first) * PAGE, MADV_DONTNEED))
			fail("MADV_DONTNEED: %s", strerror(errno));
		usleep((useconds_t)rand_r(&seed) % 500);
	}
	return NULL;
}

/* Fills free memory with what must not be seen. */
static void *dirtier(void *arg)
{
	const size_t size = 4UL << 20;
	(void)arg;

	while (!stop) {
		char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (mem == MAP_FAILED)
			fail("mmap: %s", strerror(errno));
		memset(mem, 0xdd, size);
		munmap(mem, size);
		usleep(100000);
	}
	return NULL;
}

static void *read_page(void *at)
{
	unsigned long *page = at;

	check((char *)page[0] + page[1] * PAGE, page[1], true, "after its userfaultfd was closed");
	return NULL;
}

/* A mapping of its own, whose userfaultfd nobody reads and whose closing sets the thread free. */
static void *remapper(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	while (!stop) {
		char *mem = map_gmem();
		int fd = open_uffd(mem);
		unsigned long at[2] = { (unsigned long)mem, (unsigned long)rand_r(&seed) % NR_PAGES };
		pthread_t thread;

		if (fd < 0 || pthread_create(&thread, NULL, read_page, at))
			fail("registering: %s", strerror(errno));
		usleep((useconds_t)rand_r(&seed) % 2000);
		close(fd);
		pthread_join(thread, NULL);
		munmap(mem, SIZE);
		nr_remapped++;
	}
	return NULL;
}

/* ---- */

static void set_up(void)
{
	struct kvm_create_guest_memfd args = { .size = SIZE,
					       .flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	if (kvm < 0)
		skip("no /dev/kvm (a machine with KVM runs it)");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	gmem = vm < 0 ? -1 : ioctl(vm, KVM_CREATE_GUEST_MEMFD, &args);
	if (gmem < 0)
		skip("no guest_memfd that can be mapped (Linux 6.18 has it)");
	registered = map_gmem();
	second = map_gmem();
	uffd = open_uffd(registered);
	if (uffd < 0)
		skip("no userfaultfd for guest_memfd (kernel-patches/7.3 has it)");
	for (unsigned long p = 0; p < NR_STRICT; p++)
		pthread_mutex_init(&locks[p], NULL);
}

/* Every reader reads on. */
static void watch(int seconds)
{
	unsigned long before[NR_READERS] = { 0 };
	int idle[NR_READERS] = { 0 };

	for (int s = 0; s < seconds; s++) {
		sleep(1);
		for (int i = 0; i < NR_READERS; i++) {
			unsigned long now = reads[i];

			idle[i] = now == before[i] ? idle[i] + 1 : 0;
			before[i] = now;
			if (idle[i] == STUCK_SECONDS)
				fail("reader %d is stuck after %lu pages", i, now);
		}
	}
}

int main(int argc, char **argv)
{
	void *(*const others[])(void *) = { puncher, preparer, dirtier, remapper };
	unsigned long total = 0;
	int seconds = 10, opt;
	pthread_t thread;

	while ((opt = getopt(argc, argv, "t:")) != -1) {
		if (opt != 't' || (seconds = atoi(optarg)) <= 0) {
			fprintf(stderr, "usage: gmem-stress [-t SECONDS]\n");
			return 2;
		}
	}
	set_up();
	printf("1..1\n");
	for (uintptr_t i = 0; i < NR_HANDLERS; i++)
		pthread_create(&thread, NULL, handler, NULL);
	for (uintptr_t i = 0; i < NR_READERS; i++)
		pthread_create(&thread, NULL, reader, (void *)i);
	for (uintptr_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		pthread_create(&thread, NULL, others[i], (void *)i);
	watch(seconds);
	stop = true;

	for (int i = 0; i < NR_READERS; i++)
		total += reads[i];
	printf("ok 1 - gmem-stress: %d s, %lu pages read; faults: %lu missing, %lu minor; %lu copied, %lu continued, "
	       "%lu were there, %lu were gone; %lu holes, %lu mappings\n",
	       seconds, total, nr_missing, nr_minor, nr_copied, nr_continued, nr_exist, nr_gone, nr_punched,
	       nr_remapped);
	return 0;
}
