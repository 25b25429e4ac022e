// SPDX-License-Identifier: LGPL-2.1-or-later
/* /sys/kernel/mm/hugepages: huge pages that are set aside, by size. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/cleanup.h"
#include "lib/kernel/hugepages.h"
#include "lib/kernel/proc.h"

#define FOLDER "/sys/kernel/mm/hugepages"

static int read_count(int dirfd, const char *name, uint64_t *ret)
{
	char buf[32];
	int r = proc_read(dirfd, name, buf, sizeof(buf));

	if (r >= 0 && sscanf(buf, "%" SCNu64, ret) != 1)
		r = -EINVAL;
	return r < 0 ? r : 0;
}

int hugepages_read(uint64_t size, struct hugepages *ret)
{
	_cleanup_close_ int dirfd = -1;
	char path[64];
	int r;

	snprintf(path, sizeof(path), FOLDER "/hugepages-%" PRIu64 "kB", size / 1024);
	dirfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	*ret = (struct hugepages){ .size = size };
	r = read_count(dirfd, "nr_hugepages", &ret->total);
	if (r == 0)
		r = read_count(dirfd, "free_hugepages", &ret->free);
	if (r == 0)
		r = read_count(dirfd, "resv_hugepages", &ret->reserved);
	return r;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int hugepages_each(int (*fn)(const struct hugepages *h, void *arg), void *arg)
{
	_cleanup_(close_dir) DIR *dir = opendir(FOLDER);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return -errno;
	while (r == 0 && (e = readdir(dir))) {
		struct hugepages h;
		uint64_t kb;

		if (sscanf(e->d_name, "hugepages-%" SCNu64 "kB", &kb) != 1)
			continue;
		r = hugepages_read(kb * 1024, &h);
		if (r == 0)
			r = fn(&h, arg);
	}
	return r;
}

uint64_t hugepages_default(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	uint64_t kb;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Hugepagesize: %" SCNu64 " kB", &kb) == 1)
			return kb * 1024;
	return 0;
}
