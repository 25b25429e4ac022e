// SPDX-License-Identifier: LGPL-2.1-or-later
/* A child process that reads files of a target: the target can make them block, grow or shrink. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/symbols/child.h"
#include "lib/util.h"

#define POLL_MS 100
#define END_MS 100

/* Shared with the child. */
struct child_state {
	_Atomic uint64_t at;
};

/* Set only in the child. */
static struct child_state *own_state;

void child_mark(uint64_t at)
{
	if (own_state)
		own_state->at = at;
}

uint64_t child_at(const struct child *c)
{
	return c->state->at;
}

/* ---- in the child ---- */

static int cmp_fd(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* One of these is the target's userfaultfd, which would stay open in a child that can't be killed. */
static void close_others(int *keep, size_t nr)
{
	unsigned int from = 0;

	qsort(keep, nr, sizeof(*keep), cmp_fd);
	for (size_t i = 0; i < nr; i++) {
		if ((unsigned int)keep[i] > from)
			syscall(SYS_close_range, from, keep[i] - 1, 0);
		from = keep[i] + 1;
	}
	syscall(SYS_close_range, from, ~0u, 0);
}

/* RLIMIT_DATA counts existing memory, too, which is much in a program with a sanitizer. */
static void limit_memory(uint64_t max_bytes)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/statm", "re");
	struct rlimit none = {}, data;
	unsigned long pages;

	setrlimit(RLIMIT_CORE, &none);
	if (!f || fscanf(f, "%*u %*u %*u %*u %*u %lu", &pages) != 1)
		return;
	data.rlim_cur = data.rlim_max = pages * base_page_size() + max_bytes;
	setrlimit(RLIMIT_DATA, &data);
}

/* The parent handles Ctrl-C, and kills the child. */
static void reset_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL }, ign = { .sa_handler = SIG_IGN };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, sig == SIGINT || sig == SIGPIPE ? &ign : &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- around it ---- */

/* An array of fixed size: closing descriptors must not need memory. */
#define MAX_KEEP 8

static void __attribute__((noreturn)) be_child(struct child_state *state, int sock, const int *keep, size_t nr_keep,
					       uint64_t max_bytes, void (*run)(int sock, void *arg), void *arg)
{
	int fds[MAX_KEEP + 1];

	for (size_t i = 0; i < nr_keep; i++)
		fds[i] = keep[i];
	fds[nr_keep] = sock;
	close_others(fds, nr_keep + 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	reset_signals();
	limit_memory(max_bytes);
	own_state = state;
	run(sock, arg);
	_exit(0);
}

int child_start(struct child *c, const int *keep, size_t nr_keep, uint64_t max_bytes, void (*run)(int sock, void *arg),
		void *arg)
{
	struct child_state *state;
	int socks[2], err;
	pid_t pid;

	if (nr_keep > MAX_KEEP)
		return -EINVAL;
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (state == MAP_FAILED)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0) {
		err = -errno;
		munmap(state, sizeof(*state));
		return err;
	}
	pid = fork();
	if (pid == 0)
		be_child(state, socks[1], keep, nr_keep, max_bytes, run, arg);
	err = -errno;
	close(socks[1]);
	if (pid < 0) {
		close(socks[0]);
		munmap(state, sizeof(*state));
		return err;
	}
	*c = (struct child){ .pid = pid, .sock = socks[0], .state = state };
	return 0;
}

/* CPU time: a process that waits for a server that does not answer uses none. */
static uint64_t run_ns(const struct child *c)
{
	clockid_t clock;

	return clock_getcpuclockid(c->pid, &clock) == 0 ? now_ns(clock) : 0;
}

int child_receive(struct child *c, const sigset_t *mask, void *buf, size_t size, size_t *ret_len)
{
	struct pollfd p = { .fd = c->sock, .events = POLLIN };
	uint64_t ran = run_ns(c), now;
	int idle_ms = 0, silent_ms = 0, r;
	ssize_t n;

	while ((r = ppoll(&p, 1, &(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, mask)) == 0) {
		now = run_ns(c);
		idle_ms = now == ran ? idle_ms + POLL_MS : 0;
		ran = now;
		silent_ms += POLL_MS;
		if (idle_ms >= CHILD_IDLE_MS || silent_ms >= CHILD_SILENCE_MS)
			return -ETIMEDOUT;
	}
	if (r < 0)
		return -errno;
	n = recv(c->sock, buf, size, MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 && errno == EINTR ? -EINTR : -EPIPE;
	*ret_len = n;
	return 0;
}

int child_send(struct child *c, const void *buf, size_t len)
{
	return send(c->sock, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* If it can't be killed, leave it behind: process 1 adopts it when we end. */
static void reap(pid_t pid)
{
	static const struct timespec pause = { .tv_nsec = 1000000L };

	for (int ms = 0; ms < END_MS && waitpid(pid, NULL, WNOHANG) == 0; ms++)
		nanosleep(&pause, NULL);
}

void child_stop(struct child *c)
{
	if (!c || !c->pid)
		return;
	close(c->sock);
	kill(c->pid, SIGKILL);
	reap(c->pid);
	munmap(c->state, sizeof(*c->state));
	*c = (struct child){ .sock = -1 };
}
