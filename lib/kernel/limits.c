// SPDX-License-Identifier: LGPL-2.1-or-later
/* Limits that keep a thread from being started. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/kernel/limits.h"
#include "lib/log.h"
#include "lib/util.h"

static rlim_t limit_of(int resource)
{
	struct rlimit l;

	return getrlimit(resource, &l) < 0 ? RLIM_INFINITY : l.rlim_cur;
}

static size_t stack_bytes(void)
{
	pthread_attr_t attr;
	size_t n = 0;

	if (pthread_getattr_default_np(&attr) == 0) {
		pthread_attr_getstacksize(&attr, &n);
		pthread_attr_destroy(&attr);
	}
	return n;
}

/* pthread_create(3) says EAGAIN both if there is no room for a stack, and if there is none for a thread. */
static bool has_room_for_stack(void)
{
	size_t n = stack_bytes();
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return errno != ENOMEM;
	munmap(p, n);
	return true;
}

/* For shells, these two are in KiB. */
static void put_memory_limit(char *text, size_t n)
{
	rlim_t as = limit_of(RLIMIT_AS), data = limit_of(RLIMIT_DATA);

	if (as != RLIM_INFINITY)
		snprintf(text, n, "the limit of address space (RLIMIT_AS) is %lu KiB: type ulimit -v unlimited before",
			 (unsigned long)(as / 1024));
	else if (data != RLIM_INFINITY)
		snprintf(text, n, "the limit of data (RLIMIT_DATA) is %lu KiB: type ulimit -d unlimited before",
			 (unsigned long)(data / 1024));
	else
		snprintf(text, n, "memory is short: see sysctl vm.overcommit_memory");
}

static void put_thread_limit(char *text, size_t n)
{
	rlim_t nproc = limit_of(RLIMIT_NPROC);

	if (nproc != RLIM_INFINITY && getuid())
		snprintf(text, n,
			 "the limit of processes and threads of this user (RLIMIT_NPROC) is %lu: type ulimit -u with a larger number before; if the user has fewer, pids.max of the cgroup is the cause",
			 (unsigned long)nproc);
	else
		snprintf(text, n,
			 "no more threads are allowed by pids.max of the cgroup, or by sysctl kernel.threads-max and kernel.pid_max: raise that");
}

int limits_fail_thread(struct uffdctl *u, int err, const char *what, bool several)
{
	char text[320] = "";

	if (err == -ENOMEM || (err == -EAGAIN && !has_room_for_stack()))
		put_memory_limit(text, sizeof(text));
	else if (err == -EAGAIN)
		put_thread_limit(text, sizeof(text));
	return fail(u, err, "%s: %s%s%s%s", what, strerror(-err), *text ? ": " : "", text,
		    several && *text ? "; fewer threads need less (-t)" : "");
}
