/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A lack of descriptors. */
#ifndef TESTS_LIB_LIMIT_H
#define TESTS_LIB_LIMIT_H

#include <sys/resource.h>
#include <unistd.h>

static struct rlimit old_limit;

/* So many more than are open. */
static void allow_descriptors(int nr)
{
	int next = dup(0);

	close(next);
	getrlimit(RLIMIT_NOFILE, &old_limit);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ next + nr, old_limit.rlim_max });
}

static void allow_all_descriptors(void)
{
	setrlimit(RLIMIT_NOFILE, &old_limit);
}

#endif
