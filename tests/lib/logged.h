/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A context whose messages are kept. */
#ifndef TESTS_LIB_LOGGED_H
#define TESTS_LIB_LOGGED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/uffdctl.h"
#include "tests/unit.h"

static char logged[4096];
static int nr_logged, last_level;

static void on_log(void *data, int level, const char *msg)
{
	NUM(strcmp(data, "data"), 0);
	snprintf(logged, sizeof(logged), "%s", msg);
	last_level = level;
	nr_logged++;
}

static struct uffdctl *new_context(void)
{
	struct uffdctl *u;

	if (uffdctl_new(&u) < 0)
		abort();
	uffdctl_set_log(u, UFFDCTL_LOG_NOTICE, on_log, "data");
	logged[0] = '\0';
	nr_logged = 0;
	return u;
}

#endif
