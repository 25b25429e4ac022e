// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process that notices whatever is done to it. Its threads sit in system calls of each kind that the kernel restarts,
 * keep patterns in registers and on stacks, take signals that are numbered, and are born and die all the time.
 *
 * The first line of output is "PID START": the address of SIZE bytes of a memfd, whose pages hold their number. Each
 * line of input is answered by "odd N eintr N rounds N TEXT": how often something was not as it must be, how often a
 * call that has a timeout or an epoll ended with EINTR, the rounds of the slowest thread, and the first odd thing.
 *
 * steady JOB: the first thread does this work, instead of waiting for input.
 */
#include <err.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __aarch64__
#include <sys/auxv.h>
#endif
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef __aarch64__
#define IS_ARM64 true
#else
#define IS_ARM64 false
#endif
#define PAGE 4096
#define SIZE (256 * PAGE)

enum {
	REGISTERS,
	STACK,
	TILES,
	READER,
	SLEEPER,
	POLLER,
	PPOLLER,
	FUTEX,
	EPOLL,
	SIGNALS,
	BIRTHS,
	MEMORY,
	NR_JOBS,
};

static pid_t self;
static atomic_ulong odd, eintr, rounds[NR_JOBS];
static char first[256] = "-";
static int pipes[2][2];
static char *shared;

static void __attribute__((format(printf, 1, 2))) is_odd(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!atomic_fetch_add(&odd, 1))
		vsnprintf(first, sizeof(first), fmt, ap);
	va_end(ap);
}

/* What a raw system call returned, which may be a number that only the kernel should see. */
static bool good(const char *name, long r, long wanted)
{
	if (r == wanted)
		return true;
	if (r < 0 && errno == EINTR)
		atomic_fetch_add(&eintr, 1);
	else
		is_odd("%s returned %ld (errno %d)", name, r, errno);
	return false;
}

/* ---- what stays in registers ---- */

/* Keep these in registers for a while: n to n + 5, and VECTOR_BYTES bytes. */
#ifdef __x86_64__
#define VECTOR_BYTES (__builtin_cpu_supports("avx512f") ? 64 : 32)
#define LOOP "mov $20000, %%ecx\n1: dec %%ecx\n jnz 1b\n"
#define GENERAL \
	"mov %[n], %%r12\n lea 1(%%r12), %%r13\n lea 2(%%r12), %%r14\n lea 3(%%r12), %%r15\n lea 4(%%r12), %%r8\n lea 5(%%r12), %%r9\n"
#define STORE \
	"mov %%r12, %[a]\n mov %%r13, %[b]\n mov %%r14, %[c]\n mov %%r15, %[d]\n mov %%r8, %[e]\n mov %%r9, %[f]\n"
#define OUT \
	[a] "=m"(seen[0]), [b] "=m"(seen[1]), [c] "=m"(seen[2]), [d] "=m"(seen[3]), [e] "=m"(seen[4]), [f] "=m"(seen[5])
static void keep(uint64_t n, const uint64_t in[8], uint64_t out[8], uint64_t seen[6])
{
	if (VECTOR_BYTES == 64)
		__asm__ volatile(GENERAL "vmovdqu64 (%[in]), %%zmm17\n kmovw %k[n], %%k3\n" LOOP
					 "vmovdqu64 %%zmm17, (%[out])\n" STORE:OUT
				 : [n] "r"(n), [in] "r"(in), [out] "r"(out)
				 : "rcx", "r8", "r9", "r12", "r13", "r14", "r15", "memory", "cc");
	else
		__asm__ volatile(GENERAL "movdqu (%[in]), %%xmm5\n movdqu 16(%[in]), %%xmm6\n" LOOP
					 "movdqu %%xmm5, (%[out])\n movdqu %%xmm6, 16(%[out])\n" STORE:OUT
				 : [n] "r"(n), [in] "r"(in), [out] "r"(out)
				 : "rcx", "r8", "r9", "r12", "r13", "r14", "r15", "xmm5", "xmm6", "memory", "cc");
}
#else
#define VECTOR_BYTES 64
static void keep(uint64_t n, const uint64_t in[8], uint64_t out[8], uint64_t seen[6])
{
	__asm__ volatile("add x0, %[n], #0\n add x7, %[n], #1\n add x8, %[n], #2\n add x18, %[n], #3\n"
			 "add x28, %[n], #4\n add x30, %[n], #5\n"
			 "ldp q5, q6, [%[in]]\n ldp q17, q31, [%[in], #32]\n"
			 "mov w9, #20000\n1: subs w9, w9, #1\n b.ne 1b\n"
			 "stp q5, q6, [%[out]]\n stp q17, q31, [%[out], #32]\n"
			 "stp x0, x7, [%[seen]]\n stp x8, x18, [%[seen], #16]\n stp x28, x30, [%[seen], #32]\n" ::[n] "r"(
				 n),
			 [in] "r"(in), [out] "r"(out), [seen] "r"(seen)
			 : "x0", "x7", "x8", "x9", "x18", "x28", "x30", "v5", "v6", "v17", "v31", "memory", "cc");
}
#endif

static void *keep_registers(void *arg)
{
	uint64_t in[8] __attribute__((aligned(64))), out[8] __attribute__((aligned(64)));
	uint64_t n = 0, seen[6];

	(void)arg;
	for (;; atomic_fetch_add(&rounds[REGISTERS], 1)) {
		for (size_t i = 0; i < 8; i++)
			in[i] = n * 0x9e3779b97f4a7c15 + i;
		n++;
		keep(n, in, out, seen);
		if (memcmp(in, out, VECTOR_BYTES))
			is_odd("a vector register has changed");
		for (size_t i = 0; i < 6; i++)
			if (seen[i] != n + i)
				is_odd("register %zu has changed", i);
	}
	return NULL;
}

#ifdef __x86_64__
/* AMX: the kernel gives a thread room for 8 KiB more of registers when it uses them first. */
static void *keep_tiles(void *arg)
{
	struct {
		uint8_t palette, row, reserved[14];
		uint16_t colsb[16];
		uint8_t rows[16];
	} config __attribute__((aligned(64))) = { .palette = 1 };
	uint8_t in[16 * 64], out[16 * 64];
	/* ARCH_REQ_XCOMP_PERM for XFEATURE_XTILEDATA */
	bool has = syscall(SYS_arch_prctl, 0x1023, 18) == 0;

	(void)arg;
	config.colsb[1] = 64;
	config.rows[1] = 16;
	if (has)
		__asm__ volatile("ldtilecfg (%0)" ::"r"(&config) : "memory");
	for (unsigned long n = 0;; n++, atomic_fetch_add(&rounds[TILES], 1)) {
		struct timespec pause = { .tv_nsec = 500000 };

		memset(in, (int)n, sizeof(in));
		if (has)
			__asm__ volatile("tileloadd (%0,%2,1), %%tmm1\n mov $20000, %%ecx\n1: dec %%ecx\n jnz 1b\n"
					 "tilestored %%tmm1, (%1,%2,1)" ::"r"(in),
					 "r"(out), "r"(64L)
					 : "rcx", "memory", "cc");
		if (has && memcmp(in, out, sizeof(in)))
			is_odd("a tile has changed");
		good("nanosleep", syscall(SYS_nanosleep, &pause, NULL), 0);
	}
	return NULL;
}
#else
/* What of a vector is wider than 128 bits, where it is: system calls clear that. */
static void *keep_tiles(void *arg)
{
	bool has = getauxval(AT_HWCAP) & HWCAP_SVE;
	uint8_t in[256], out[256];

	(void)arg;
	for (unsigned long n = 0;; n++, atomic_fetch_add(&rounds[TILES], 1)) {
		memset(in, (int)n, sizeof(in));
		memcpy(out, in, sizeof(in));
		if (has)
			__asm__ volatile(".arch_extension sve\n ldr z9, [%0]\n mov w9, #20000\n1: subs w9, w9, #1\n b.ne 1b\n"
					 "str z9, [%1]\n" ::"r"(in),
					 "r"(out)
					 : "x9", "v9", "memory", "cc");
		if (memcmp(in, out, sizeof(in)))
			is_odd("a wide vector has changed");
		if (n % 2)
			sched_yield();
	}
	return NULL;
}
#endif

/* In the red zone, too: the compiler may put these there, since nothing is called. */
static __attribute__((noinline)) uint64_t mix(uint64_t seed)
{
	volatile uint64_t own[14];

	for (int i = 0; i < 14; i++)
		own[i] = seed + (uint64_t)i;
	for (int k = 0; k < 200; k++)
		for (int i = 0; i < 14; i++)
			own[i] = own[i] * 3 + 1;
	return own[0] ^ own[13];
}

static void *keep_stack(void *arg)
{
	uint64_t wanted = mix(5);

	(void)arg;
	for (;; atomic_fetch_add(&rounds[STACK], 1))
		if (mix(5) != wanted)
			is_odd("the stack has changed");
	return NULL;
}

/* ---- what waits in system calls ---- */

static void *read_pipe(void *arg)
{
	unsigned char next = 0, c;

	(void)arg;
	for (;; atomic_fetch_add(&rounds[READER], 1)) {
		long r = syscall(SYS_read, pipes[0][0], &c, 1);

		if (r != 1 || c != next)
			is_odd("read of a pipe returned %ld (errno %d)", r, errno);
		next++;
	}
	return NULL;
}

static void *feed(void *arg)
{
	(void)arg;
	for (unsigned char c = 0;; c++) {
		struct timespec pause = { .tv_nsec = 700000 };

		if (write(pipes[0][1], &c, 1) != 1 || write(pipes[1][1], &c, 1) != 1)
			is_odd("write of a pipe (errno %d)", errno);
		good("nanosleep", syscall(SYS_nanosleep, &pause, NULL), 0);
	}
	return NULL;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *sleep_on(void *arg)
{
	(void)arg;
	for (;; atomic_fetch_add(&rounds[SLEEPER], 1)) {
		struct timespec pause = { .tv_nsec = 3000000 };
		uint64_t began = now();

		if (good("nanosleep", syscall(SYS_nanosleep, &pause, NULL), 0) && now() - began < 3000000)
			is_odd("nanosleep came back early");
	}
	return NULL;
}

static void *poll_on(void *arg)
{
	(void)arg;
	for (;; atomic_fetch_add(&rounds[POLLER], 1)) {
		uint64_t began = now();

		if (good("poll", poll(NULL, 0, 3), 0) && now() - began < 3000000)
			is_odd("poll came back early");
	}
	return NULL;
}

/* Its mask is put in place by the kernel for the time of the call. */
static void *ppoll_on(void *arg)
{
	uint64_t mask = 0, was = 0;

	(void)arg;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &was, sizeof(was));
	mask = was | UINT64_C(1) << (SIGUSR1 - 1);
	for (;; atomic_fetch_add(&rounds[PPOLLER], 1)) {
		struct timespec pause = { .tv_nsec = 2000000 };
		uint64_t is;

		good("ppoll", syscall(SYS_ppoll, NULL, 0, &pause, &mask, sizeof(mask)), 0);
		syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &is, sizeof(is));
		if (is != was)
			is_odd("the blocked signals have changed");
	}
	return NULL;
}

static void *wait_futex(void *arg)
{
	uint32_t word = 0;

	(void)arg;
	for (;; atomic_fetch_add(&rounds[FUTEX], 1)) {
		struct timespec pause = { .tv_nsec = 2000000 };
		long r = syscall(SYS_futex, &word, FUTEX_WAIT, 0, &pause, NULL, 0);

		if (r < 0 && errno == ETIMEDOUT)
			continue;
		good("futex", r, 0);
	}
	return NULL;
}

static void *wait_epoll(void *arg)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	unsigned char next = 0, c;

	(void)arg;
	epoll_ctl(ep, EPOLL_CTL_ADD, pipes[1][0], &ev);
	for (;; atomic_fetch_add(&rounds[EPOLL], 1)) {
		long r = syscall(SYS_epoll_pwait, ep, &ev, 1, -1, NULL, 8);

		/* There, nobody can have it restarted. */
		if (IS_ARM64 && r < 0 && errno == EINTR)
			continue;
		if (!good("epoll_pwait", r, 1))
			continue;
		if (read(pipes[1][0], &c, 1) != 1 || c != next)
			is_odd("epoll: another byte");
		next++;
	}
	return NULL;
}

/* ---- signals ---- */

static atomic_int taken;

static void take(int sig, siginfo_t *si, void *context)
{
	(void)sig, (void)context;
	if (si->si_value.sival_int != atomic_load(&taken))
		is_odd("signal %d came, and %d was to come", si->si_value.sival_int, atomic_load(&taken));
	atomic_store(&taken, si->si_value.sival_int + 1);
}

/* Real-time signals queue up: none may be lost, doubled or overtaken. The one thread that takes them is this one. */
static void *take_signals(void *arg)
{
	sigset_t set;

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (int sent = 0;; atomic_fetch_add(&rounds[SIGNALS], 1)) {
		struct timespec pause = { .tv_nsec = 300000 };

		for (int i = 0; i < 5; i++) {
			siginfo_t info = { .si_code = SI_QUEUE };

			info.si_value.sival_int = sent;
			if (syscall(SYS_rt_sigqueueinfo, self, SIGRTMIN, &info) == 0)
				sent++;
		}
		syscall(SYS_nanosleep, &pause, NULL);
		if (atomic_load(&taken) != sent)
			is_odd("%d signals were sent, and %d taken", sent, atomic_load(&taken));
	}
	return NULL;
}

/* ---- threads, memory ---- */

static void *be_born(void *arg)
{
	return arg;
}

static void *give_birth(void *arg)
{
	(void)arg;
	for (uintptr_t i = 1;; i++, atomic_fetch_add(&rounds[BIRTHS], 1)) {
		struct timespec pause = { .tv_nsec = 200000 };
		pthread_t thread;
		void *back = NULL;

		if (pthread_create(&thread, NULL, be_born, (void *)i))
			is_odd("a thread could not be made");
		else if (pthread_join(thread, &back) || back != (void *)i)
			is_odd("a thread came back with something else");
		good("nanosleep", syscall(SYS_nanosleep, &pause, NULL), 0);
	}
	return NULL;
}

static void *look_at_memory(void *arg)
{
	(void)arg;
	for (;; atomic_fetch_add(&rounds[MEMORY], 1)) {
		for (uint64_t i = 0; i < SIZE / PAGE; i++)
			if (*(volatile uint64_t *)(shared + i * PAGE) != i + 1)
				is_odd("page %lu has other data", i);
		sched_yield();
	}
	return NULL;
}

static const struct job {
	const char *name;
	void *(*run)(void *arg);
} jobs[] = {
	{ "registers", keep_registers },
	{ "stack", keep_stack },
	{ "tiles", keep_tiles },
	{ "read", read_pipe },
	{ "feed", feed },
	{ "nanosleep", sleep_on },
	{ "poll", poll_on },
	{ "ppoll", ppoll_on },
	{ "futex", wait_futex },
	{ "epoll", wait_epoll },
	{ "signals", take_signals },
	{ "births", give_birth },
	{ "memory", look_at_memory },
};

#define NR_THREADS (sizeof(jobs) / sizeof(jobs[0]))

static unsigned long slowest(void)
{
	unsigned long least = ~0ul;

	for (int i = 0; i < NR_JOBS; i++)
		if (atomic_load(&rounds[i]) < least)
			least = atomic_load(&rounds[i]);
	return least;
}

static void *answer(void *arg)
{
	char line[64];

	(void)arg;
	while (fgets(line, sizeof(line), stdin)) {
		printf("odd %lu eintr %lu rounds %lu %s\n", atomic_load(&odd), atomic_load(&eintr), slowest(), first);
		fflush(stdout);
	}
	exit(0);
}

static void start(void *(*fn)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, NULL))
		errx(1, "pthread_create");
}

static void make_memory(void)
{
	int fd = memfd_create("steady", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, SIZE) || pipe(pipes[0]) || pipe(pipes[1]))
		err(1, "memory and pipes");
	shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	for (uint64_t i = 0; i < SIZE / PAGE; i++)
		*(uint64_t *)(shared + i * PAGE) = i + 1;
}

/* Without a call that a test has a filter for. */
static void find_self(void)
{
	char text[16] = "";

	if (readlink("/proc/self", text, sizeof(text) - 1) < 0)
		err(1, "/proc/self");
	self = atoi(text);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = take, .sa_flags = SA_SIGINFO | SA_RESTART };
	void *(*own)(void *) = answer;
	sigset_t set;

	find_self();
	make_memory();
	sigaction(SIGRTMIN, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	for (size_t i = 0; i < NR_THREADS; i++) {
		if (argc > 1 && !strcmp(argv[1], jobs[i].name))
			own = jobs[i].run;
		else
			start(jobs[i].run);
	}
	printf("%d %p\n", self, (void *)shared);
	fflush(stdout);
	if (own != answer)
		start(answer);
	own(NULL);
	return 0;
}
