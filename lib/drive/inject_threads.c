// SPDX-License-Identifier: LGPL-2.1-or-later
/* Stops all threads of a target, and lets them go on. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>

#include "lib/drive/inject_threads.h"
#include "lib/kernel/confine.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/ptrace.h"
#include "lib/kernel/ptrace_regs.h"
#include "lib/kernel/thread.h"
#include "lib/log.h"
#include "lib/util.h"

/* include/linux/sched.h: threads that run in the kernel only */
#define PF_IO_WORKER 0x00000010
#define PF_USER_WORKER 0x00004000

static int fail_traced(struct uffdctl_target *t, pid_t tid, pid_t tracer)
{
	char path[64], buf[64] = "?";
	_cleanup_free_ char *comm = NULL;

	snprintf(path, sizeof(path), "/proc/%d/comm", tracer);
	proc_read(AT_FDCWD, path, buf, sizeof(buf));
	buf[strcspn(buf, "\n")] = '\0';
	comm = escaped(buf);
	return fail(t->u, -EBUSY,
		    "%d: thread %d is traced by process %d (%s), and can't be traced twice: end that first", t->pid,
		    tid, tracer, comm);
}

static bool has_ended(const struct thread_now *now)
{
	return now->state == 'Z' || now->state == 'X';
}

/*
 * A thread that waits for a page within a system call does not stop until the page is there. Wanting it to would
 * leave it with a signal that keeps it from sleeping.
 */
static bool waits_in_kernel(const struct thread_now *now)
{
	return now->syscall.nr != NO_SYSCALL && !strcmp(now->wchan, "handle_userfault");
}

static int fail_waits(struct uffdctl_target *t, pid_t tid, const struct thread_now *now)
{
	return fail(t->u, -EBUSY,
		    "%d: thread %d waits for a page within a system call (%s), and can't be stopped there: resolve its fault first (see uffdctl pending %d)",
		    t->pid, tid, syscall_name(&now->syscall) ?: "?", t->pid);
}

static int check_wait(struct uffdctl_target *t, pid_t tid)
{
	struct thread_now now;

	return thread_read(t->procfd, tid, &now) >= 0 && waits_in_kernel(&now) ? fail_waits(t, tid, &now) : 0;
}

static int check_thread(uint32_t tid, void *arg)
{
	struct threads *ts = arg;
	struct uffdctl_target *t = ts->t;
	struct thread_now now;

	if (thread_read(t->procfd, (pid_t)tid, &now) < 0 || has_ended(&now))
		return 0;
	if (now.tracer_pid)
		return fail_traced(t, (pid_t)tid, now.tracer_pid);
	ts->no_filters |= thread_seccomp(t->procfd, (pid_t)tid) > 0;
	return waits_in_kernel(&now) ? fail_waits(t, (pid_t)tid, &now) : 0;
}

/* The auxiliary vector is of words of the program: where a 64-bit one has a small type, the other has type and value. */
static bool is_32bit(struct uffdctl_target *t)
{
	_cleanup_close_ int fd = openat(t->procfd, "auxv", O_RDONLY | O_CLOEXEC);
	uint64_t type = 0;

	return read(fd, &type, sizeof(type)) == sizeof(type) && type > UINT32_MAX;
}

int threads_check(struct uffdctl_target *t, struct threads *ret)
{
	struct confinement ours;
	_cleanup_close_ int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	*ret = (struct threads){ .t = t };
	if (!regs_supported())
		return fail(t->u, -EOPNOTSUPP,
			    "%d: system calls can be run inside a process on x86-64 and arm64 only, so far", t->pid);
	if (is_32bit(t))
		return fail(t->u, -EOPNOTSUPP, "%d: it runs 32-bit code, in which no system call can be run for us",
			    t->pid);
	r = proc_each_number(t->procfd, "task", check_thread, ret);
	if (r < 0)
		return r == -EBUSY	     ? r
		       : target_check(t) < 0 ? -ESRCH
					     : fail(t->u, r, "%d: /proc/%d/task: %s", t->pid, t->pid, strerror(-r));
	confine_process(self, &ours);
	if (ret->no_filters && !confine_has_cap(&ours, CAP_SYS_ADMIN))
		return fail(t->u, -EPERM,
			    "%d: a seccomp filter may forbid it the system calls, or kill it for them; only CAP_SYS_ADMIN may suspend filters: run as root",
			    t->pid);
	return 0;
}

/* ---- stopping ---- */

static bool is_known(const struct threads *ts, pid_t tid)
{
	for (size_t i = 0; i < ts->nr; i++)
		if (ts->all[i].tid == tid)
			return true;
	return false;
}

static bool runs_in_kernel_only(struct uffdctl_target *t, pid_t tid)
{
	struct proc_stat st;
	char path[64], buf[1024];

	snprintf(path, sizeof(path), "task/%d/stat", tid);
	return proc_read(t->procfd, path, buf, sizeof(buf)) >= 0 && stat_parse(buf, &st) >= 0 &&
	       st.flags & (PF_IO_WORKER | PF_USER_WORKER);
}

/* 0: there is nothing to stop. */
static int why_not_seized(struct threads *ts, pid_t tid, int err)
{
	struct uffdctl_target *t = ts->t;
	struct thread_now now;

	if (err == -ESRCH || thread_read(t->procfd, tid, &now) < 0 || has_ended(&now) || runs_in_kernel_only(t, tid))
		return 0;
	if (now.tracer_pid)
		return fail_traced(t, tid, now.tracer_pid);
	if (ts->no_filters)
		return fail(t->u, err,
			    "%d: thread %d can't be traced with its seccomp filters suspended: %s (not from within a filter, and the kernel needs CONFIG_CHECKPOINT_RESTORE)",
			    t->pid, tid, strerror(-err));
	return fail(t->u, err, "%d: thread %d can't be traced: %s (%s)", t->pid, tid, strerror(-err),
		    target_why_not_taken());
}

static int seize(uint32_t id, void *arg)
{
	struct threads *ts = arg;
	struct traced *thread;
	pid_t tid = (pid_t)id;
	char path[64];
	int r;

	if (is_known(ts, tid) || runs_in_kernel_only(ts->t, tid))
		return 0;
	r = trace_seize(tid, ts->no_filters);
	if (r < 0)
		return why_not_seized(ts, tid, r);
	/*
	 * Its number may be that of another process's thread by now, which must not be stopped: it is let go when our
	 * thread ends.
	 */
	snprintf(path, sizeof(path), "task/%d", tid);
	if (faccessat(ts->t->procfd, path, F_OK, 0) < 0)
		return 0;
	thread = vec_add(ts->all, ts->nr, ts->alloc);
	if (!thread)
		return log_oom(ts->t->u);
	*thread = (struct traced){ .tid = tid };
	ts->nr_new++;
	r = check_wait(ts->t, tid);
	if (r >= 0)
		trace_interrupt(tid);
	return r;
}

static int fail_stuck(struct threads *ts, pid_t tid)
{
	struct uffdctl_target *t = ts->t;
	struct thread_now now;

	if (thread_read(t->procfd, tid, &now) < 0)
		return fail(t->u, -ESRCH, "%d: thread %d has ended meanwhile: try again", t->pid, tid);
	return fail(t->u, -EBUSY,
		    "%d: thread %d (state %c%s%s%s%s) did not stop within %u s, so nothing was done: it may wait for a disk, a file server, a page, or for a child that it has made with vfork(2); try again later",
		    t->pid, tid, now.state, now.syscall.nr == NO_SYSCALL ? "" : ", in ",
		    now.syscall.nr == NO_SYSCALL ? "" : syscall_name(&now.syscall) ?: "?", now.wchan[0] ? ", at " : "",
		    now.wchan, (unsigned int)(STOP_NS / 1000000000));
}

/*
 * Calls that the kernel does not restart even where no signal handler is called, if they have no end of their own:
 * signal(7), "Interruption of system calls and library functions by stop signals". There is no timeout that would begin
 * anew.
 */
static bool restarts_by_us(const struct regs *regs)
{
	switch (regs_syscall(regs)) {
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
#endif
	case SYS_epoll_pwait:
		return (int32_t)regs_arg(regs, 3) < 0;
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
	case SYS_semtimedop:
		return !regs_arg(regs, 3);
	case SYS_semop:
		return true;
	case SYS_rt_sigtimedwait:
		return !regs_arg(regs, 2);
	case SYS_io_getevents:
		return !regs_arg(regs, 4);
	default:
		return false;
	}
}

static void mend(pid_t tid)
{
	struct regs regs;

	if (regs_get(tid, &regs) < 0 || regs_result(&regs) != -EINTR || !restarts_by_us(&regs))
		return;
	regs_restart(&regs);
	regs_set(tid, &regs);
}

/* A signal that was on its way is delivered first. */
static int wait_for(struct threads *ts, struct traced *thread)
{
	uint64_t until_ns = now_ns(CLOCK_MONOTONIC) + STOP_NS;
	struct trace_stop stop;
	int r;

	while ((r = trace_wait(thread->tid, until_ns, &stop)) >= 0) {
		switch (stop.event) {
		case TRACE_STOPPED:
			thread->stopped = true;
			mend(thread->tid);
			return 0;
		case TRACE_ENDED:
			return 0;
		case TRACE_SIGNAL:
			trace_continue(thread->tid, stop.sig);
			break;
		case TRACE_SYSCALL:
		case TRACE_EXEC:
			trace_continue(thread->tid, 0);
			break;
		}
	}
	return r == -ETIMEDOUT
		       ? fail_stuck(ts, thread->tid)
		       : fail(ts->t->u, r, "%d: waiting for thread %d: %s", ts->t->pid, thread->tid, strerror(-r));
}

int threads_stop(struct threads *ts)
{
	size_t waited = 0;
	int r;

	/* A thread that runs may make new ones; when all that are known are stopped and none is new, these are all. */
	do {
		ts->nr_new = 0;
		r = proc_each_number(ts->t->procfd, "task", seize, ts);
		for (; r >= 0 && waited < ts->nr; waited++)
			r = wait_for(ts, &ts->all[waited]);
	} while (r >= 0 && ts->nr_new);
	if (r == -ENOENT || r == -ESRCH)
		return target_check(ts->t) < 0 ? -ESRCH : r;
	return r < 0 ? r : target_check(ts->t);
}

void threads_let_go(struct threads *ts)
{
	for (size_t i = 0; i < ts->nr; i++)
		if (ts->all[i].stopped)
			trace_let_go(ts->all[i].tid, 0);
	free(ts->all);
	ts->all = NULL;
	ts->nr = ts->alloc = 0;
}
