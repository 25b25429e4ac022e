// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of the context: its messages, and those of libbpf. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "lib/kernel/bpf_print.h"
#include "lib/log.h"
#include "lib/opts.h"
#include "tests/lib/logged.h"
#include "tests/unit.h"

/* ---- the context ---- */

TEST("log-levels")
{
	struct uffdctl *u = new_context();

	log_debug(u, "not wanted");
	NUM(nr_logged, 0);
	log_notice(u, "fd %d", 7);
	NUM(nr_logged, 1);
	NUM(last_level, UFFDCTL_LOG_NOTICE);
	STR(logged, "fd 7");
	uffdctl_set_log(u, UFFDCTL_LOG_ERROR, on_log, "data");
	log_warning(u, "not wanted");
	NUM(nr_logged, 1);
	NUM(fail(u, -EPROTO, "failed"), -EPROTO);
	STR(logged, "failed");
	NUM(last_level, UFFDCTL_LOG_ERROR);
	NUM(nr_logged, 2);
	uffdctl_free(u);
}

TEST("log-none")
{
	struct uffdctl *u = new_context();

	uffdctl_set_log(u, UFFDCTL_LOG_DEBUG, NULL, NULL);
	errno = ENOTTY;
	log_error(u, "nobody listens");
	NUM(errno, ENOTTY);
	NUM(nr_logged, 0);
	uffdctl_free(u);
}

TEST("log-last-error")
{
	struct uffdctl *u = new_context();

	STR(uffdctl_last_error(u), "");
	log_warning(u, "no error");
	STR(uffdctl_last_error(u), "");
	NUM(fail(u, -EPROTO, "fd %d", 7), -EPROTO);
	STR(uffdctl_last_error(u), "fd 7");
	log_warning(u, "no error");
	STR(uffdctl_last_error(u), "fd 7");
	/* Also if nobody gets messages, or none of this level. */
	uffdctl_set_log(u, UFFDCTL_LOG_DEBUG, NULL, NULL);
	log_error(u, "no function");
	STR(uffdctl_last_error(u), "no function");
	uffdctl_set_log(u, -1, on_log, "data");
	nr_logged = 0;
	log_error(u, "no level");
	NUM(nr_logged, 0);
	STR(uffdctl_last_error(u), "no level");
	u->silent = true;
	log_error(u, "silent");
	STR(uffdctl_last_error(u), "no level");
	uffdctl_free(u);
}

static int nr_inside, nr_twice;

static void on_log_slow(void *data, int level, const char *msg)
{
	(void)data, (void)level, (void)msg;
	nr_twice += nr_inside++ != 0;
	sched_yield();
	nr_inside--;
	nr_logged++;
}

static void *log_in_thread(void *u)
{
	for (int i = 0; i < 10000; i++)
		log_error(u, "error %d", i);
	return NULL;
}

/* The workers of an action log too. */
TEST("log-threads")
{
	struct uffdctl *u = new_context();
	pthread_t threads[4];

	uffdctl_set_log(u, UFFDCTL_LOG_NOTICE, on_log_slow, NULL);
	for
		EACH(threads)
	OK(pthread_create(&threads[i], NULL, log_in_thread, u) == 0);
	for
		EACH(threads)
	OK(pthread_join(threads[i], NULL) == 0);
	NUM(nr_logged, 4 * 10000);
	NUM(nr_twice, 0);
	STR(uffdctl_last_error(u), "error 9999");
	uffdctl_free(u);
}

static void on_log_calls(void *data, int level, const char *msg)
{
	(void)level, (void)msg;
	if (!nr_logged++)
		log_error(data, "inner");
}

TEST("log-calls-library")
{
	struct uffdctl *u = new_context();

	uffdctl_set_log(u, UFFDCTL_LOG_NOTICE, on_log_calls, u);
	log_error(u, "outer");
	NUM(nr_logged, 2);
	STR(uffdctl_last_error(u), "outer");
	uffdctl_free(u);
}

/* ---- structs of callers that were built with another header ---- */

struct other_opts {
	size_t size;
	uint64_t first, second, third;
};

struct our_opts {
	size_t size;
	uint64_t first, second;
};

TEST("opts-get")
{
	struct other_opts given = { sizeof(given), 1, 2, 0 };
	struct uffdctl *u = new_context();
	struct our_opts o;

	NUM(OPTS_GET(u, &given, &o), 0);
	NUM(o.size, sizeof(o));
	NUM(o.first, 1);
	NUM(o.second, 2);
	/* Older: what it lacks is 0. */
	given.size = offsetof(struct other_opts, second);
	NUM(OPTS_GET(u, &given, &o), 0);
	NUM(o.first, 1);
	NUM(o.second, 0);
	NUM(OPTS_GET(u, NULL, &o), 0);
	NUM(o.first, 0);
	NUM(nr_logged, 0);
	/* Newer, with a member that we do not know. */
	given.size = sizeof(given);
	given.third = 3;
	NUM(OPTS_GET(u, &given, &o), -E2BIG);
	NUM(nr_logged, 1);
	given.size = 0;
	NUM(OPTS_GET(u, &given, &o), -EINVAL);
	NUM(nr_logged, 2);
	uffdctl_free(u);
}

TEST("opts-put")
{
	struct other_opts out = { .size = sizeof(out), .third = 3 };
	const struct our_opts found = { sizeof(found), 1, 2 };
	struct uffdctl *u = new_context();

	NUM(out_check(u, &out), 0);
	OUT_PUT(&found, &out);
	NUM(out.size, sizeof(out));
	NUM(out.first, 1);
	NUM(out.second, 2);
	NUM(out.third, UFFDCTL_UNKNOWN);
	/* Older: nothing is written behind it. */
	out = (struct other_opts){ .size = offsetof(struct other_opts, second), .second = 7, .third = 8 };
	OUT_PUT(&found, &out);
	NUM(out.size, offsetof(struct other_opts, second));
	NUM(out.first, 1);
	NUM(out.second, 7);
	NUM(out.third, 8);
	out.size = 0;
	NUM(out_check(u, &out), -EINVAL);
	uffdctl_free(u);
}

/* ---- libbpf's messages ---- */

static int nr_callers;

static int callers_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)fmt, (void)ap;
	nr_callers += level == LIBBPF_WARN;
	return 0;
}

static void make_libbpf_warn(void)
{
	OK(!bpf_object__open_file("/nowhere.bpf.o", NULL));
}

static void *warn_in_thread(void *arg)
{
	if (arg)
		bpf_print_begin(arg);
	make_libbpf_warn();
	if (arg)
		bpf_print_end();
	return NULL;
}

static void in_thread(struct uffdctl *u)
{
	pthread_t thread;

	OK(pthread_create(&thread, NULL, warn_in_thread, u) == 0 && pthread_join(thread, NULL) == 0);
}

/* The caller's own print function hears what is not ours, also in the middle of it, and has its place again. */
TEST("bpf-print-threads")
{
	struct uffdctl *u = new_context();
	libbpf_print_fn_t before = libbpf_set_print(callers_print);

	uffdctl_set_log(u, UFFDCTL_LOG_DEBUG, on_log, "data");
	nr_callers = 0;
	make_libbpf_warn();
	OK(nr_callers > 0);
	nr_callers = 0;
	bpf_print_begin(u);
	make_libbpf_warn();
	OK(nr_logged > 0);
	NUM(nr_callers, 0);
	nr_logged = 0;
	in_thread(NULL);
	NUM(nr_logged, 0);
	OK(nr_callers > 0);
	nr_callers = 0;
	in_thread(u);
	OK(nr_logged > 0);
	NUM(nr_callers, 0);
	nr_logged = 0;
	/* The other has ended, and it is still for us. */
	make_libbpf_warn();
	OK(nr_logged > 0);
	bpf_print_end();
	OK(libbpf_set_print(before) == callers_print);
	uffdctl_free(u);
}

/* What the caller sets meanwhile stays. */
TEST("bpf-print-set-meanwhile")
{
	struct uffdctl *u = new_context();
	libbpf_print_fn_t before = libbpf_set_print(NULL);

	bpf_print_begin(u);
	libbpf_set_print(callers_print);
	bpf_print_end();
	OK(libbpf_set_print(before) == callers_print);
	uffdctl_free(u);
}

TEST("free-null")
{
	uffdctl_free(NULL);
	uffdctl_ranges_free(NULL);
	uffdctl_maps_free(NULL);
	uffdctl_list_free(NULL);
	uffdctl_target_close(NULL);
	uffdctl_handle_close(NULL);
	uffdctl_symbols_free(NULL);
}

TEST("cleanup-steal")
{
	char *p = strdup("x"), *q;
	int fd = 7;

	q = steal_ptr(p);
	OK(q && !p);
	free(q);
	NUM(steal_fd(fd), 7);
	NUM(fd, -1);
}
