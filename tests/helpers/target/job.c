// SPDX-License-Identifier: GPL-2.0-or-later
/* What worker threads do, so that what blocks does not block the requests. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/helpers/target/commands.h"
#include "tests/helpers/target/job.h"
#include "tests/helpers/target/map.h"
#include "tests/helpers/target/request.h"

static struct job **jobs;
static int nr_jobs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static _Thread_local sigjmp_buf *guard;

static void on_fault(int sig)
{
	if (guard)
		siglongjmp(*guard, sig);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void on_wakeup(int sig)
{
	(void)sig;
}

void job_setup(void)
{
	struct sigaction fault = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
	struct sigaction wakeup = { .sa_handler = on_wakeup };

	sigaction(SIGBUS, &fault, NULL);
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGUSR1, &wakeup, NULL);
}

/* Runs fn(j, p); -EFAULT when it meets SIGBUS or SIGSEGV. */
int guarded(struct job *j, void (*fn)(struct job *j, char *p), char *p)
{
	sigjmp_buf env;
	int ret = 0;

	if (sigsetjmp(env, 0)) {
		guard = NULL;
		return -EFAULT;
	}
	guard = &env;
	fn(j, p);
	guard = NULL;
	return ret;
}

int job_new(struct json_object *req, struct job **ret)
{
	struct job **grown, *j = calloc(1, sizeof(*j));

	grown = reallocarray(jobs, (size_t)nr_jobs + 1, sizeof(struct job *));
	if (grown)
		jobs = grown;
	if (!j || !grown) {
		free(j);
		return fail(ENOMEM, "no memory");
	}
	j->id = nr_jobs;
	j->first_differ = UINT64_MAX;
	j->pipe[0] = j->pipe[1] = -1;
	snprintf(j->name, sizeof(j->name), "%s", arg_str(req, "name", ""));
	jobs[nr_jobs++] = j;
	*ret = j;
	return 0;
}

static void *job_thread(void *arg)
{
	struct job *j = arg;

	if (*j->name)
		prctl(PR_SET_NAME, j->name);
	pthread_mutex_lock(&lock);
	j->tid = gettid();
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);

	int err = j->run(j);

	pthread_mutex_lock(&lock);
	if (err)
		j->err = -err;
	j->done = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

int start_thread(void *(*fn)(void *), void *arg, size_t stack, pthread_t *ret)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, stack);
	if (!ret)
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(ret ? ret : &thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return err ? fail(err, "pthread_create: %s", strerror(err)) : 0;
}

int job_start(struct job *j)
{
	int err = start_thread(job_thread, j, SMALL_STACK, NULL);

	if (err)
		return err;
	pthread_mutex_lock(&lock);
	while (!j->tid)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return 0;
}

static bool job_wait(struct job *j, uint64_t timeout_ms)
{
	struct timespec end;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)(timeout_ms / 1000);
	end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&lock);
	while (!j->done && !err)
		err = pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, &end);
	pthread_mutex_unlock(&lock);
	return j->done;
}

/* Starts the job; waits for it unless "async", and fails as it does. */
int job_run(struct json_object *req, struct json_object *res, struct job *j)
{
	int err = job_start(j);

	if (err)
		return err;
	if (arg_bool(req, "async", false) || !job_wait(j, WAIT_MS)) {
		put_int(res, "thread", j->id);
		put_int(res, "tid", j->tid);
		return arg_bool(req, "async", false) ? 0 : fail(ETIMEDOUT, "still blocked");
	}
	return j->err ? fail(j->err, "%s", strerror(j->err)) : 0;
}

static int arg_job(struct json_object *req, struct job **ret)
{
	int id = arg_int(req, "thread", -1);

	if (id < 0 || id >= nr_jobs)
		return has(req, "thread") ? fail(EINVAL, "no thread %d", id) : need(req, "thread");
	*ret = jobs[id];
	return 0;
}

static void put_job(struct json_object *res, struct job *j)
{
	bool done = j->done; /* first: the rest is final once it is set */

	json_object_object_add(res, "done", json_object_new_boolean(done));
	put_u64(res, "touched", j->touched);
	put_u64(res, "mismatches", j->mismatches);
	put_u64(res, "errors", j->errors);
	put_int(res, "tid", j->tid);
	put_u64(res, "result", j->result); /* pid, or address */
	put_int(res, "errno", j->err);
	json_object_object_add(res, "error", j->err ? json_object_new_string(strerror(j->err)) : NULL);
}

/* "id" (or "addr"), "offset", "len" -> map, addr, len, off and page of the job. */
int arg_range(struct json_object *req, struct job *j)
{
	uint64_t offset = arg_u64(req, "offset", 0);
	int err;

	if (!has(req, "id") && has(req, "addr")) {
		j->addr = arg_u64(req, "addr", 0) + offset;
		j->len = arg_u64(req, "len", page_size);
		j->page = page_size;
		return 0;
	}
	err = arg_map(req, "id", &j->map);
	if (err)
		return err;
	if (offset > j->map->size)
		return fail(EINVAL, "offset lies behind the mapping");
	j->addr = j->map->addr + offset;
	j->len = arg_u64(req, "len", j->map->size - offset);
	j->off = j->map->file_off + offset;
	j->page = j->map->page;
	return 0;
}

int range_job(struct json_object *req, int (*run)(struct job *j), struct job **ret)
{
	int err = job_new(req, ret);

	if (err)
		return err;
	(*ret)->run = run;
	return arg_range(req, *ret);
}

static int cmd_join(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = arg_job(req, &j);

	if (err)
		return err;
	job_wait(j, arg_u64(req, "timeout_ms", WAIT_MS));
	put_job(res, j);
	return 0;
}

static int cmd_status(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = arg_job(req, &j);

	if (err)
		return err;
	put_job(res, j);
	return 0;
}

static int cmd_stop(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = arg_job(req, &j);

	(void)res;
	if (!err)
		j->stop = true;
	return err;
}

const struct command job_commands[] = {
	{ "join", cmd_join, "thread timeout_ms" },
	{ "status", cmd_status, "thread" },
	{ "stop", cmd_stop, "thread" },
	{},
};
