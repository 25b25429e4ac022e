// SPDX-License-Identifier: GPL-2.0-or-later
/* Children, other threads, and what this process is. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/helpers/target/commands.h"
#include "tests/helpers/target/contents.h"
#include "tests/helpers/target/handler.h"
#include "tests/helpers/target/job.h"
#include "tests/helpers/target/process.h"
#include "tests/helpers/target/request.h"

static int lifeline[2]; /* children see EOF here when this process is gone */

int process_setup(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pipe2(lifeline, O_CLOEXEC);
}

static bool kept(struct job *j, int fd)
{
	if (fd == lifeline[0] || (j->handler && fd == j->handler->stop_fd))
		return true;
	for (size_t i = 0; i < json_object_array_length(j->keep); i++)
		if (json_object_get_int(json_object_array_get_idx(j->keep, i)) == fd)
			return true;
	return false;
}

static void close_others(struct job *j)
{
	unsigned int end = 3;

	for (unsigned int fd = 3; fd < 4096; fd++) {
		if (kept(j, (int)fd))
			end = fd + 1;
		else
			close((int)fd);
	}
	close_range(end, UINT_MAX, 0);
}

/* Read all pages of the range, and leave 1 + the number of wrong ones where "report" is. */
static void child_verify(struct job *j)
{
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < j->len; i += j->page)
		wrong += !same(j, (char *)j->addr + i);
	*(volatile uint64_t *)j->value = 1 + wrong;
}

static void __attribute__((noreturn)) child_main(struct job *j)
{
	char byte;

	close(lifeline[1]);
	if (j->verify)
		child_verify(j);
	if (j->keep)
		close_others(j);
	if (j->handler)
		handler_loop(j->handler, lifeline[0]);
	else if (read(lifeline[0], &byte, 1) < 0)
		_exit(1);
	_exit(0);
}

/*
 * From a worker thread, since EVENT_FORK blocks. No PR_SET_PDEATHSIG, which would fire at that thread's
 * end; and no fork(3), which holds malloc's locks while it blocks: the child must not allocate.
 */
static int run_fork(struct job *j)
{
	pid_t pid = _Fork();

	if (!pid)
		child_main(j);
	j->result = (uint64_t)pid;
	return pid < 0 ? -errno : 0;
}

static int fork_job(struct json_object *req, struct json_object *res, struct job *j)
{
	int err;

	j->run = run_fork;
	err = job_run(req, res, j);
	if (!err && j->done)
		put_int(res, "pid", (int)j->result);
	return err;
}

static int cmd_fork(struct json_object *req, struct json_object *res)
{
	struct map *report;
	struct job *j;
	int err = job_new(req, &j);

	if (!err && has(req, "report")) {
		err = arg_map(req, "report", &report);
		if (!err)
			err = arg_range(req, j);
		if (err)
			return err;
		j->verify = true;
		j->seed = arg_u64(req, "seed", 0);
		j->stride = j->page;
		j->value = report->addr;
	}
	if (err)
		return err;
	j->keep = json_object_get(json_object_object_get(req, "keep"));
	return fork_job(req, res, j);
}

static int run_heir(void *arg)
{
	struct job *j = arg;

	while (getppid() == j->arg)
		usleep(1000);
	for (uint64_t i = 0; i < j->len; i += j->page)
		(void)*(volatile uint64_t *)(j->addr + i);
	_exit(0);
}

/* A process in this one's memory, which touches the range when this one has ended. */
static int cmd_heir(struct json_object *req, struct json_object *res)
{
	struct job *j;
	char *stack;
	pid_t pid;
	int err = job_new(req, &j);

	if (!err)
		err = arg_range(req, j);
	if (err)
		return err;
	j->arg = getpid();
	stack = malloc(SMALL_STACK);
	pid = stack ? clone(run_heir, stack + SMALL_STACK, CLONE_VM | SIGCHLD, j) : -1;
	put_int(res, "pid", pid);
	return pid < 0 ? fail_errno("clone") : 0;
}

static int cmd_child_handler(struct json_object *req, struct json_object *res)
{
	struct handler *h;
	struct job *j;
	int err = job_new(req, &j);

	if (!err)
		err = handler_new(req, &h);
	if (err)
		return err;
	if (h->blocking)
		return fail(EINVAL, "a child's handler can't be stopped on a blocking userfaultfd");
	j->handler = h;
	j->keep = json_object_new_array();
	json_object_array_add(j->keep, json_object_new_int(h->uffd));
	err = fork_job(req, res, j);
	h->child = err ? 0 : (pid_t)j->result;
	h->running = !err;
	return err;
}

static int cmd_kill_child(struct json_object *req, struct json_object *res)
{
	pid_t pid = arg_int(req, "pid", 0);

	(void)res;
	if (pid <= 0)
		return fail(EINVAL, "\"pid\" must be a child's");
	if (waitpid(pid, NULL, WNOHANG))
		return fail_errno("child");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	handler_child_ended(pid);
	return 0;
}

/* Answers with the greeting of the new program. */
static int cmd_exec(struct json_object *req, struct json_object *res)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	(void)req;
	(void)res;
	if (n < 0)
		return fail_errno("/proc/self/exe");
	path[n] = '\0';
	execl(path, path, NULL);
	return fail_errno("exec");
}

static int cmd_comm(struct json_object *req, struct json_object *res)
{
	(void)res;
	return prctl(PR_SET_NAME, arg_str(req, "name", "")) ? fail_errno("prctl") : 0;
}

static int cmd_drop_privs(struct json_object *req, struct json_object *res)
{
	uid_t uid = (uid_t)arg_u64(req, "uid", 65534);
	gid_t gid = (gid_t)arg_u64(req, "gid", uid);

	(void)res;
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return fail_errno("setresuid");
	/* A change of credentials cleared both: PR_SET_DUMPABLE(2const), PR_SET_PDEATHSIG(2const) */
	if (prctl(PR_SET_DUMPABLE, 1) || prctl(PR_SET_PDEATHSIG, SIGKILL))
		return fail_errno("prctl");
	return 0;
}

static void *idle_thread(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static int cmd_threads_idle(struct json_object *req, struct json_object *res)
{
	int err = 0;

	(void)res;
	for (int i = 0; !err && i < arg_int(req, "n", 1); i++)
		err = start_thread(idle_thread, NULL, 64 << 10, NULL);
	return err;
}

static int cmd_exit(struct json_object *req, struct json_object *res)
{
	(void)res;
	_exit(arg_int(req, "code", 0)); /* without an answer */
}

/* What a system call is in /proc/PID/syscall. */
static int cmd_syscall_nr(struct json_object *req, struct json_object *res)
{
	static const struct name_value table[] = { { "pread64", SYS_pread64 } };
	uint64_t nr;
	int err = arg_name(req, "name", NULL, table, ARRAY_SIZE(table), &nr);

	if (!err)
		put_u64(res, "nr", nr);
	return err;
}

const struct command process_commands[] = {
	{ "child_handler", cmd_child_handler, "uffd action wp seed fd" },
	{ "fork", cmd_fork, RANGE "keep async seed report" },
	{ "heir", cmd_heir, RANGE },
	{ "kill_child", cmd_kill_child, "pid" },
	{ "exec", cmd_exec, "" },
	{ "comm", cmd_comm, "name" },
	{ "drop_privs", cmd_drop_privs, "uid gid" },
	{ "threads_idle", cmd_threads_idle, "n" },
	{ "syscall_nr", cmd_syscall_nr, "name" },
	{ "exit", cmd_exit, "code" },
	{},
};
