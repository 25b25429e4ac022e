/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A folder for a test's files. */
#ifndef TESTS_LIB_FOLDER_H
#define TESTS_LIB_FOLDER_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit.h"

static char dir_path[64];

static int dir_make(void)
{
	int fd;

	strcpy(dir_path, "/tmp/uffdctl-unit.XXXXXX");
	if (!mkdtemp(dir_path))
		abort();
	fd = open(dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		abort();
	return fd;
}

static void dir_remove(int dir)
{
	char command[128];

	close(dir);
	snprintf(command, sizeof(command), "rm -r %s", dir_path);
	NUM(system(command), 0);
}

#endif
