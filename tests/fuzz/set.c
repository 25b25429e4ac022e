// SPDX-License-Identifier: GPL-2.0-or-later
/* The file of a working set. What is taken is sound, and is the same when it is written and read again. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "lib/uffdctl.h"

static void on_log(void *data, int level, const char *msg)
{
	(void)level;
	ENSURE(!has_control(msg));
	(*(int *)data)++;
}

static void check_items(const struct uffdctl_workset *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < uffdctl_workset_count(s); i++) {
		const struct uffdctl_workset_item *item = uffdctl_workset_get(s, i);

		ENSURE(item->len && item->offset + item->len > item->offset);
		ENSURE(item->offset + item->len <= uffdctl_workset_image_bytes(s));
		ENSURE(item->access == UFFDCTL_ACCESS_READ || item->access == UFFDCTL_ACCESS_WRITE);
		sum += item->len;
	}
	/* No part is in it twice. */
	ENSURE(sum <= uffdctl_workset_image_bytes(s));
}

static uint64_t bytes_in(const struct uffdctl_workset *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < uffdctl_workset_count(s); i++)
		sum += uffdctl_workset_get(s, i)->len;
	return sum;
}

static void write_and_read(struct uffdctl *u, const struct uffdctl_workset *s)
{
	int fd = memfd_create("set", MFD_CLOEXEC);
	struct uffdctl_workset *again, *none, *all;
	char path[64];

	ENSURE(fd >= 0 && uffdctl_workset_write(s, fd) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ENSURE(uffdctl_workset_read(u, path, &again) == 0);
	ENSURE(bytes_in(again) == bytes_in(s));
	ENSURE(uffdctl_workset_combine(s, UFFDCTL_WORKSET_DIFF, again, &none) == 0 && !uffdctl_workset_count(none));
	ENSURE(uffdctl_workset_combine(s, UFFDCTL_WORKSET_UNION, again, &all) == 0 && bytes_in(all) == bytes_in(s));
	check_items(all);
	uffdctl_workset_free(again);
	uffdctl_workset_free(none);
	uffdctl_workset_free(all);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("set", MFD_CLOEXEC), nr_logged = 0;
	struct uffdctl_workset *s;
	struct uffdctl *u;
	char path[64];

	ENSURE(fd >= 0 && uffdctl_new(&u) == 0);
	uffdctl_set_log(u, UFFDCTL_LOG_DEBUG, on_log, &nr_logged);
	ENSURE(write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (uffdctl_workset_read(u, path, &s) == 0) {
		ENSURE(!nr_logged);
		check_items(s);
		write_and_read(u, s);
		uffdctl_workset_free(s);
	} else {
		ENSURE(nr_logged == 1);
	}
	close(fd);
	uffdctl_free(u);
	return 0;
}
