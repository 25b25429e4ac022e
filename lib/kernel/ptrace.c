// SPDX-License-Identifier: LGPL-2.1-or-later
/* ptrace(2) of threads that are seized. */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/kernel/ptrace.h"
#include "lib/util.h"

/* include/uapi/linux/ptrace.h; glibc 2.36 lacks some, and its header excludes the kernel's. */
#define SUSPEND_SECCOMP (1 << 21)
#define GET_RSEQ_CONFIGURATION 0x420f
#define GET_SYSCALL_USER_DISPATCH_CONFIG 0x4211
#define EVENT_STOP 128
#define SYSCALL_SIGNAL (SIGTRAP | 0x80)

struct rseq_configuration {
	uint64_t pointer;
	uint32_t size, signature, flags, pad;
};

static int do_ptrace(int request, pid_t tid, uintptr_t addr, uintptr_t data)
{
	return ptrace(request, tid, addr, data) < 0 ? -errno : 0;
}

int trace_seize(pid_t tid, bool no_filters)
{
	return do_ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD | (no_filters ? SUSPEND_SECCOMP : 0));
}

int trace_seize_child(pid_t pid)
{
	return do_ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
}

int trace_interrupt(pid_t tid)
{
	return do_ptrace(PTRACE_INTERRUPT, tid, 0, 0);
}

int trace_continue(pid_t tid, int sig)
{
	return do_ptrace(PTRACE_CONT, tid, 0, (uintptr_t)sig);
}

int trace_to_syscall(pid_t tid, int sig)
{
	return do_ptrace(PTRACE_SYSCALL, tid, 0, (uintptr_t)sig);
}

int trace_let_go(pid_t tid, int sig)
{
	return do_ptrace(PTRACE_DETACH, tid, 0, (uintptr_t)sig);
}

static struct trace_stop stop_of(const siginfo_t *si)
{
	struct trace_stop stop = { .event = TRACE_SIGNAL, .sig = si->si_status };

	if (si->si_code != CLD_TRAPPED && si->si_code != CLD_STOPPED)
		stop.event = TRACE_ENDED;
	else if (si->si_status >> 8 == EVENT_STOP)
		stop.event = TRACE_STOPPED;
	else if (si->si_status == SYSCALL_SIGNAL)
		stop.event = TRACE_SYSCALL;
	else if (si->si_status >> 8 == PTRACE_EVENT_EXEC)
		stop.event = TRACE_EXEC;
	return stop;
}

/* A thread that has ended and is traced stays a zombie until its tracer has looked. */
static void bury(pid_t tid)
{
	siginfo_t si;

	waitid(P_PID, (id_t)tid, &si, WEXITED | WNOHANG | __WALL);
}

int trace_wait(pid_t tid, uint64_t until_ns, struct trace_stop *ret)
{
	long pause_ns = 5000;

	for (;;) {
		siginfo_t si = {};

		if (waitid(P_PID, (id_t)tid, &si, WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL) < 0) {
			if (errno == EINTR)
				continue;
			if (errno != ECHILD)
				return -errno;
			*ret = (struct trace_stop){ .event = TRACE_ENDED };
			return 0;
		}
		if (si.si_pid) {
			*ret = stop_of(&si);
			if (ret->event == TRACE_ENDED)
				bury(tid);
			return 0;
		}
		if (now_ns(CLOCK_MONOTONIC) >= until_ns)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){ .tv_nsec = pause_ns }, NULL);
		pause_ns = MIN(pause_ns * 2, 500000L);
	}
}

int trace_get_mask(pid_t tid, uint64_t *ret)
{
	return do_ptrace(PTRACE_GETSIGMASK, tid, sizeof(*ret), (uintptr_t)ret);
}

int trace_set_mask(pid_t tid, uint64_t mask)
{
	return do_ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), (uintptr_t)&mask);
}

int trace_get_regs(pid_t tid, unsigned int type, void *buf, size_t *len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = *len };
	int r = do_ptrace(PTRACE_GETREGSET, tid, type, (uintptr_t)&iov);

	*len = iov.iov_len;
	return r;
}

int trace_set_regs(pid_t tid, unsigned int type, const void *buf, size_t len)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

	return do_ptrace(PTRACE_SETREGSET, tid, type, (uintptr_t)&iov);
}

int trace_get_rseq(pid_t tid, uint64_t *ret)
{
	struct rseq_configuration conf = {};
	int r = do_ptrace(GET_RSEQ_CONFIGURATION, tid, sizeof(conf), (uintptr_t)&conf);

	if (r >= 0)
		*ret = conf.pointer;
	return r;
}

bool trace_dispatches(pid_t tid)
{
	struct {
		uint64_t mode, selector, offset, len;
	} conf = {};

	return do_ptrace(GET_SYSCALL_USER_DISPATCH_CONFIG, tid, sizeof(conf), (uintptr_t)&conf) >= 0 && conf.mode;
}
