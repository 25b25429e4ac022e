// SPDX-License-Identifier: LGPL-2.1-or-later
/* Starts a program as a child of ours, held before its first instruction. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/kernel/launch.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/ptrace.h"
#include "lib/util.h"

#define VDSO_MAX (64 << 10)

/* ---- the child ---- */

/* It begins when it is traced. What execve(2) says goes through the other pipe, which it closes if it works. */
static _Noreturn void be_child(char *const argv[], const int begin[2], int say)
{
	char byte;
	int err;

	/* If our parent is killed, we read the end of it. */
	close(begin[1]);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	if (read(begin[0], &byte, 1) == 1)
		execvp(argv[0], argv);
	err = errno;
	if (write(say, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

/* ---- until it is held ---- */

/* The way to the next stop at a system call, or at execve(2). Signals act on it as on any program. */
static int run_to(struct launched *l, enum trace_event event)
{
	pid_t pid = l->pid;
	struct trace_stop stop = { .event = TRACE_STOPPED };
	int r;

	do {
		r = event == TRACE_EXEC ? trace_continue(pid, stop.event == TRACE_SIGNAL ? stop.sig : 0)
					: trace_to_syscall(pid, stop.event == TRACE_SIGNAL ? stop.sig : 0);
		if (r >= 0)
			r = trace_wait(pid, UINT64_MAX, &stop);
	} while (r >= 0 && stop.event != event && stop.event != TRACE_ENDED);
	/* trace_wait() has buried it. */
	l->ended = r >= 0 && stop.event == TRACE_ENDED;
	return l->ended ? -ESRCH : r;
}

/* Before it has begun, it waits. */
static int stop_first(pid_t pid)
{
	struct trace_stop stop;
	int r = trace_seize_child(pid);

	if (r >= 0)
		r = trace_interrupt(pid);
	if (r >= 0)
		r = trace_wait(pid, UINT64_MAX, &stop);
	return r;
}

static int is_vdso(const struct maps_line *l, void *arg)
{
	if (strcmp(l->name, "[vdso]"))
		return 0;
	*(struct uffdctl_range *)arg = l->range;
	return 1;
}

/* Its program text is not in its memory yet; the kernel's own is. */
static int find_call(struct launched *l)
{
	_cleanup_close_ int mem = -1;
	struct uffdctl_range vdso;
	char text[VDSO_MAX], path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/maps", l->pid);
	if (proc_each_mapping(open(path, O_RDONLY | O_CLOEXEC), is_vdso, &vdso) != 1)
		return -EOPNOTSUPP;
	snprintf(path, sizeof(path), "/proc/%d/mem", l->pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	n = mem < 0 ? -1 : pread(mem, text, MIN(sizeof(text), range_len(vdso)), (off_t)vdso.start);
	if (n < 0)
		return -errno;
	l->call = regs_find_call(text, (size_t)n, vdso.start);
	return l->call ? 0 : -EOPNOTSUPP;
}

/* The end of execve(2) sets a register: what is changed before has no effect. */
static int hold(struct launched *l, const char **step)
{
	int r = run_to(l, TRACE_EXEC);

	*step = NULL;
	if (r < 0)
		return r;
	*step = "holding it";
	r = run_to(l, TRACE_SYSCALL);
	if (r >= 0)
		r = regs_get(l->pid, &l->regs);
	if (r >= 0 && regs_objection(l->pid, &l->regs))
		r = -EOPNOTSUPP;
	return r < 0 ? r : find_call(l);
}

static int begin(struct launched *l, int go, int said, const char **step)
{
	int err = 0, r = stop_first(l->pid);

	*step = "tracing it";
	if (r < 0)
		return r;
	if (write(go, "", 1) != 1)
		return -EPIPE;
	r = hold(l, step);
	/* It has ended: why execve(2) has failed. */
	if (r == -ESRCH && read(said, &err, sizeof(err)) == sizeof(err))
		return -err;
	if (r == -ESRCH)
		*step = "a signal has ended it";
	return r;
}

int launch(char *const argv[], struct launched *ret, const char **step)
{
	_cleanup_close_ int go = -1, said = -1;
	int begin_pipe[2], say_pipe[2], r;

	*ret = (struct launched){};
	*step = "pipe";
	if (!regs_supported())
		return -EOPNOTSUPP;
	if (pipe2(begin_pipe, O_CLOEXEC) < 0)
		return -errno;
	go = begin_pipe[1];
	if (pipe2(say_pipe, O_CLOEXEC) < 0) {
		r = -errno;
		close(begin_pipe[0]);
		return r;
	}
	said = say_pipe[0];
	*step = "fork";
	ret->pid = fork();
	if (ret->pid == 0)
		be_child(argv, begin_pipe, say_pipe[1]);
	r = ret->pid < 0 ? -errno : 0;
	close(begin_pipe[0]);
	close(say_pipe[1]);
	if (r < 0)
		return r;
	r = begin(ret, go, said, step);
	ret->held = true;
	if (r < 0)
		launch_bury(ret);
	return r;
}

/* ---- held, and after ---- */

int launch_call(struct launched *l, long nr, const uint64_t args[6], int64_t *ret)
{
	const struct gadgets g = { .call = l->call };
	const struct way_back back = { .addr = regs_sp(&l->regs) };
	struct regs regs = l->regs;
	int r;

	regs_call(&l->regs, &g, &back, nr, args, &regs);
	r = regs_set(l->pid, &regs);
	/* To its beginning, and to its end. */
	for (int i = 0; r >= 0 && i < 2; i++)
		r = run_to(l, TRACE_SYSCALL);
	if (r >= 0)
		r = regs_get(l->pid, &regs);
	*ret = r < 0 ? r : regs_result(&regs);
	return r < 0 ? r : regs_set(l->pid, &l->regs);
}

int launch_let_go(struct launched *l)
{
	int r = trace_let_go(l->pid, 0);

	l->held = r < 0;
	return r;
}

int launch_wait(struct launched *l)
{
	siginfo_t si = {};

	while (waitid(P_PID, (id_t)l->pid, &si, WEXITED | WNOWAIT) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

void launch_bury(struct launched *l)
{
	if (l->pid <= 0 || l->ended)
		return;
	if (l->held)
		kill(l->pid, SIGKILL);
	while (waitpid(l->pid, &l->status, __WALL) < 0 && errno == EINTR)
		;
	l->ended = true;
}
