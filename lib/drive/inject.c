// SPDX-License-Identifier: LGPL-2.1-or-later
/* Runs system calls inside a target. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/drive/inject.h"
#include "lib/drive/inject_place.h"
#include "lib/drive/inject_threads.h"
#include "lib/kernel/launch.h"
#include "lib/kernel/limits.h"
#include "lib/kernel/mem.h"
#include "lib/kernel/ptrace.h"
#include "lib/kernel/seccomp.h"
#include "lib/kernel/thread.h"
#include "lib/log.h"
#include "lib/util.h"

/* A call that takes longer is left alone; the thread finds its way back by itself. */
#define CALL_NS UINT64_C(10000000000)
/* A thread that is at a bad place is let go on a little; the last tries are a second apart. */
#define MAX_TRIES 12

struct inject {
	struct uffdctl_target *t;
	int (*fn)(struct inject *in, void *arg);
	void *arg;
	int result;

	struct threads threads;
	int mem; /* /proc/PID/mem */
	struct gadgets gadgets;

	/* The thread that runs the calls. */
	pid_t tid;
	struct regs regs; /* as they were */
	uint64_t mask;	  /* its blocked signals, as they were */
	struct way_back back;
	char *below;			/* what was where the way back is */
	bool lost;			/* it is on its own */
	struct seccomp_filters filters; /* suspended as long as we live */

	const char *why; /* no thread is fit: what is wrong with the last one */
	pid_t why_tid;
	bool why_may_change;
};

/* ---- one thread ---- */

static int write_below(const struct inject *in, const void *bytes)
{
	ssize_t n = pwrite(in->mem, bytes, in->back.len, (off_t)in->back.addr);

	return n < 0 ? -errno : (size_t)n != in->back.len ? -EFAULT : 0;
}

static int unfit(struct inject *in, pid_t tid, bool may_change, const char *why)
{
	if (!in->why || may_change) {
		in->why = why;
		in->why_tid = tid;
	}
	in->why_may_change |= may_change;
	return -EAGAIN;
}

/*
 * The filters of all threads are suspended, but should we be killed while it makes a call, they are back: then they must do no harm.
 * Those of another thread may be others.
 */
static const char *filters_objection(struct inject *in, pid_t tid)
{
	const uint64_t none[6] = {};

	seccomp_free(&in->filters);
	if (thread_seccomp(in->t->procfd, tid) <= 0)
		return NULL;
	if (!in->threads.no_filters)
		return "it has got a seccomp filter in this moment: try again";
	if (seccomp_read(tid, &in->filters) < 0)
		return "its seccomp filters can't be read (strict mode, or a kernel without CONFIG_CHECKPOINT_RESTORE)";
	return seccomp_ask(&in->filters, SYS_rt_sigreturn, regs_call_ip(&in->gadgets), none) != SECCOMP_PASSES
		       ? "its seccomp filter forbids it rt_sigreturn(2), which leads it back if we are killed"
		       : NULL;
}

/*
 * Run the thread to the n-th stop at a system call.
 * @ours: signals are blocked, except SIGSTOP, which stops the process as if we were not there, and us neither: it is
 * made to go on. Otherwise they are delivered.
 */
static int run_to_stop(pid_t tid, int n, bool ours)
{
	struct trace_stop stop = { .event = TRACE_STOPPED };
	uint64_t until = now_ns(CLOCK_MONOTONIC) + CALL_NS;
	int r;

	while (n) {
		r = trace_to_syscall(tid, stop.event == TRACE_SIGNAL ? stop.sig : 0);
		if (r >= 0)
			r = trace_wait(tid, until, &stop);
		if (r < 0)
			return r;
		if (stop.event == TRACE_ENDED)
			return -ESRCH;
		if (ours && stop.event == TRACE_SIGNAL && stop.sig != SIGSTOP)
			return -EPROTO;
		n -= stop.event == TRACE_SYSCALL;
	}
	return 0;
}

/* Enter the call at which the thread is, and interrupt it there. -EAGAIN: it would not come back. */
static int leave_call(struct inject *in, pid_t tid)
{
	struct regs before = in->regs;
	int r = run_to_stop(tid, 1, false);

	if (r >= 0)
		r = regs_get(tid, &in->regs);
	if (r < 0 || !regs_enter_call(&in->regs))
		return r < 0 ? r : -EAGAIN;
	trace_interrupt(tid);
	r = run_to_stop(tid, 1, false);
	if (r >= 0)
		r = regs_get(tid, &in->regs);
	if (r >= 0)
		regs_leave_call(&before, &in->regs);
	return r;
}

static int read_regs(struct inject *in, struct traced *thread)
{
	char text[GADGET_BYTES] = {};
	pid_t tid = thread->tid;
	int r = regs_get(tid, &in->regs);

	if (r >= 0 && mem_read(in->mem, regs_ip(&in->regs), text, sizeof(text)) >= 0 &&
	    regs_hide_call(&in->regs, text)) {
		r = leave_call(in, tid);
		thread->stopped = r >= 0 || r == -EAGAIN;
	}
	return r < 0 ? r : trace_get_mask(tid, &in->mask);
}

/* Look whether the thread can run calls; nothing is changed. */
static int examine(struct inject *in, struct traced *thread)
{
	const char *objection;
	pid_t tid = thread->tid;
	int r;

	if (read_regs(in, thread) < 0)
		return unfit(in, tid, true, "its registers can't be read");
	objection = regs_objection(tid, &in->regs) ?: filters_objection(in, tid);
	if (objection)
		return unfit(in, tid, false, objection);
	if (trace_dispatches(tid))
		return unfit(in, tid, false,
			     "its system calls are dispatched to itself (PR_SET_SYSCALL_USER_DISPATCH)");
	if (place_in_rseq(in->mem, tid, regs_ip(&in->regs)))
		return unfit(in, tid, true, "it is within a restartable sequence (rseq)");
	r = way_back_make(tid, &in->regs, in->mask, &in->gadgets, &in->back);
	if (r < 0)
		return unfit(in, tid, r == -EBUSY, "its registers can't be saved");
	in->below = malloc(in->back.len);
	if (!in->below || !place_is_stack(in->t, in->back.addr, regs_sp(&in->regs)) ||
	    mem_read(in->mem, in->back.addr, in->below, in->back.len) < 0)
		return unfit(in, tid, true,
			     "it has no room below its stack pointer, or it is not known to be a stack of its own");
	return 0;
}

static void forget(struct inject *in)
{
	free(in->below);
	free(in->back.bytes);
	in->below = NULL;
	in->back = (struct way_back){};
}

/* The way back is there before the registers change, and they lead to it before signals are blocked. */
static int prepare(struct inject *in, pid_t tid)
{
	struct regs regs;
	int r = write_below(in, in->back.bytes);

	if (r < 0)
		return unfit(in, tid, true, "the memory below its stack pointer can't be written");
	regs_go_back(&in->regs, &in->gadgets, &in->back, &regs);
	r = regs_set(tid, &regs);
	if (r >= 0)
		r = trace_set_mask(tid, UINT64_MAX);
	if (r < 0)
		return fail(in->t->u, r, "%d: changing registers of thread %d: %s", in->t->pid, tid, strerror(-r));
	in->tid = tid;
	return 0;
}

/* The first thread is tried first: its stack is one for certain. */
static int choose_thread(struct inject *in)
{
	for (size_t i = 0; i < in->threads.nr; i++) {
		struct traced *thread = &in->threads.all[i];
		int r;

		if (!thread->stopped)
			continue;
		r = examine(in, thread);
		if (r >= 0)
			r = prepare(in, thread->tid);
		if (r >= 0)
			return 0;
		forget(in);
		if (r != -EAGAIN)
			return r;
	}
	return -EAGAIN;
}

/* ---- a call ---- */

static int fail_call(struct inject *in, long nr, int err)
{
	struct uffdctl *u = in->t->u;

	in->lost = err != -EPROTO;
	if (target_check(in->t) < 0)
		return -ESRCH;
	if (err == -EPROTO)
		return fail(u, err, "%d: thread %d got a signal for an injected system call (%ld), which is dropped",
			    in->t->pid, in->tid, nr);
	if (err == -ETIMEDOUT)
		return fail(u, err,
			    "%d: thread %d has not come back from an injected system call (%ld) yet: it is left in it, and goes on where it was afterwards",
			    in->t->pid, in->tid, nr);
	return fail(u, err, "%d: an injected system call (%ld) in thread %d: %s", in->t->pid, nr, in->tid,
		    strerror(-err));
}

/* It is ours, and has one thread, which is stopped: nothing has to be prepared. */
static bool is_held(const struct uffdctl_target *t)
{
	return t->held && t->held->held;
}

/* Filters are suspended, unless this program is killed meanwhile. */
static bool may_call(const struct inject *in, long nr, const uint64_t args[6])
{
	return seccomp_ask(&in->filters, nr, regs_call_ip(&in->gadgets), args) != SECCOMP_HARMS;
}

int inject_call(struct inject *in, long nr, const uint64_t args[6], int64_t *ret)
{
	struct regs regs;
	int r;

	if (is_held(in->t)) {
		r = launch_call(in->t->held, nr, args, ret);
		return r < 0 ? fail(in->t->u, r, "%d: a system call (%ld) before its first instruction: %s", in->t->pid,
				    nr, strerror(-r))
			     : 0;
	}
	if (!may_call(in, nr, args))
		return fail(in->t->u, -EPERM,
			    "%d: its seccomp filter would kill it for system call %ld (%s) if this program were killed meanwhile: the call is not made, and the process is as it was (its filter would have to allow the call)",
			    in->t->pid, nr, syscall_name(&(struct syscall_now){ .nr = nr }) ?: "?");
	if (in->lost)
		return fail(in->t->u, -EBUSY, "%d: thread %d is still in an earlier system call", in->t->pid, in->tid);
	regs_call(&in->regs, &in->gadgets, &in->back, nr, args, &regs);
	r = regs_set(in->tid, &regs);
	if (r >= 0)
		r = run_to_stop(in->tid, 2, true);
	if (r >= 0)
		r = regs_get(in->tid, &regs);
	if (r < 0)
		return fail_call(in, nr, r);
	*ret = regs_result(&regs);
	return 0;
}

/*
 * The kernel restarts the call in which the thread was, if it was in one, only when the registers are put back at such a
 * stop. Signals first: should we be killed now, the way back has both.
 */
static int stop_to_put_back(struct inject *in)
{
	struct trace_stop stop = { .event = TRACE_SYSCALL };
	uint64_t until = now_ns(CLOCK_MONOTONIC) + CALL_NS;
	int r;

	trace_interrupt(in->tid);
	do {
		r = trace_continue(in->tid, stop.event == TRACE_SIGNAL ? stop.sig : 0);
		if (r >= 0)
			r = trace_wait(in->tid, until, &stop);
	} while (r >= 0 && stop.event != TRACE_STOPPED && stop.event != TRACE_ENDED);
	return r < 0 ? r : stop.event == TRACE_ENDED ? -ESRCH : 0;
}

/*
 * Where it decides that at the end of a call (ptrace_arm64.c): at the end of one that changes nothing. It decides then,
 * and not when it is too late, because the thread is asked to stop.
 */
static int call_to_put_back(struct inject *in)
{
	static const long harmless[] = { SYS_getpid, SYS_getuid, SYS_getppid };
	const uint64_t args[6] = { regs_arg(&in->regs, 0) };
	int64_t ignored;
	size_t i = 0;
	int r;

	while (i < ARRAY_SIZE(harmless) && !may_call(in, harmless[i], args))
		i++;
	if (i == ARRAY_SIZE(harmless)) {
		log_warning(in->t->u,
			    "%d: the system call in which thread %d was may end early, with EINTR: its seccomp filter would kill it for each call by which that is avoided",
			    in->t->pid, in->tid);
		return -EPERM;
	}
	r = inject_call(in, harmless[i], args, &ignored);
	return r < 0 ? r : trace_interrupt(in->tid);
}

/* If it can't be done, the thread goes back by itself. */
static void put_back(struct inject *in)
{
	int r = in->lost ? -EBUSY : regs_are_restarted(&in->regs) ? call_to_put_back(in) : stop_to_put_back(in);

	if (r >= 0)
		r = trace_set_mask(in->tid, in->mask);
	if (r >= 0)
		r = regs_set(in->tid, &in->regs);
	in->lost = r < 0;
	if (!in->lost)
		write_below(in, in->below);
}

/* ---- all of it ---- */

static int run_stopped(struct inject *in)
{
	int r;

	if (!place_has_gadgets(in->mem, &in->gadgets))
		return fail(in->t->u, -EOPNOTSUPP, "%d: its program text has changed meanwhile: try again", in->t->pid);
	r = choose_thread(in);
	if (r < 0)
		return r;
	r = in->fn(in, in->arg);
	put_back(in);
	forget(in);
	seccomp_free(&in->filters);
	return r;
}

/* When this thread ends, the kernel lets go all that could not be let go here. */
static void *session(void *arg)
{
	struct inject *in = arg;

	in->result = threads_stop(&in->threads);
	if (in->result >= 0)
		in->result = run_stopped(in);
	threads_let_go(&in->threads);
	return NULL;
}

static int run_session(struct inject *in)
{
	static const int stopping[] = { SIGTSTP, SIGTTIN, SIGTTOU };
	sigset_t all, old, waiting;
	pthread_t thread;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&thread, NULL, session, in);
	/* Were we stopped from the terminal now, the target would be, too. */
	waiting = old;
	for (size_t i = 0; i < ARRAY_SIZE(stopping); i++)
		sigaddset(&waiting, stopping[i]);
	pthread_sigmask(SIG_SETMASK, &waiting, NULL);
	if (r >= 0)
		pthread_join(thread, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r < 0 ? limits_fail_thread(in->t->u, r, "starting a thread", false) : in->result;
}

static int open_mem(struct uffdctl_target *t, int *ret)
{
	int r = target_open_file(t, "mem", O_RDWR, ret);

	return r < 0 && r != -ESRCH ? fail(t->u, r, "%d: /proc/%d/mem: %s (%s)", t->pid, t->pid, strerror(-r),
					   target_why_not_taken())
				    : r;
}

static int begin(struct uffdctl_target *t, struct inject *in)
{
	int r = threads_check(t, &in->threads);

	if (r >= 0)
		r = open_mem(t, &in->mem);
	if (r < 0)
		return r;
	r = place_find_gadgets(t, in->mem, &in->gadgets);
	if (r < 0)
		return target_check(t) < 0
			       ? -ESRCH
			       : fail(t->u, -EOPNOTSUPP,
				      "%d: in its program text, as far as it is in memory, there are no instructions by which a system call can be run%s%s",
				      t->pid, r == -ENOENT ? "" : ": ", r == -ENOENT ? "" : strerror(-r));
	return 0;
}

int inject_check(struct uffdctl_target *t)
{
	struct inject in = { .t = t, .mem = -1 };
	int r = begin(t, &in);

	cleanup_close(&in.mem);
	return r;
}

int inject_run(struct uffdctl_target *t, int (*fn)(struct inject *in, void *arg), void *arg)
{
	struct inject in = { .t = t, .mem = -1, .fn = fn, .arg = arg };
	int r = is_held(t) ? 0 : begin(t, &in);
	long pause_ns = 500000;

	if (is_held(t))
		return fn(&in, arg);

	for (int tries = 0; r >= 0; tries++) {
		r = run_session(&in);
		if (r != -EAGAIN || in.tid || !in.why_may_change || tries == MAX_TRIES)
			break;
		nanosleep(&(struct timespec){ .tv_sec = pause_ns / 1000000000, .tv_nsec = pause_ns % 1000000000 },
			  NULL);
		pause_ns *= 2;
		r = 0;
	}
	cleanup_close(&in.mem);
	if (r == -EAGAIN && !in.tid)
		r = fail(t->u, -EOPNOTSUPP, "%d: no thread of it can run a system call for us; thread %d: %s", t->pid,
			 in.why_tid, in.why);
	return r;
}
