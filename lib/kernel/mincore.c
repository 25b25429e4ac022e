// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * mincore(2): the pages of a file in the page cache. It is called on our own mapping, which has no page-table
 * entries.
 */
#include <errno.h>
#include <sys/mman.h>

#include "lib/kernel/mincore.h"
#include "lib/util.h"

int mincore_has(int fd, uint64_t offset)
{
	void *p = mmap(NULL, base_page_size(), PROT_READ, MAP_SHARED, fd, (off_t)offset);
	unsigned char state = 0;
	int r;

	if (p == MAP_FAILED)
		return -errno;
	r = mincore(p, base_page_size(), &state) < 0 ? -errno : state & 1;
	munmap(p, base_page_size());
	return r;
}

bool mincore_has_all(int fd, uint64_t offset, uint64_t len)
{
	uint64_t page = base_page_size(), n;
	uint8_t states[1 << 14];
	bool all = true;
	char *map;

	len = round_up(len, page);
	map = mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, (off_t)offset);

	if (map == MAP_FAILED)
		return false;
	for (uint64_t at = 0; at < len && all; at += n * page) {
		n = MIN((len - at) / page, sizeof(states));
		all = mincore(map + at, n * page, states) == 0;
		for (uint64_t i = 0; i < n && all; i++)
			all = states[i] & 1;
	}
	munmap(map, len);
	return all;
}

int mincore_read(int fd, uint64_t offset, uint64_t nr, uint8_t *states)
{
	uint64_t len = nr * base_page_size();
	void *map = mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, (off_t)offset);
	int r;

	if (map == MAP_FAILED)
		return -errno;
	r = mincore(map, len, states) < 0 ? -errno : 0;
	munmap(map, len);
	return r;
}
