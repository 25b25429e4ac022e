// SPDX-License-Identifier: LGPL-2.1-or-later
/* SEEK_DATA and SEEK_HOLE of lseek(2): which parts of a file of shmem have been written. */
#include <errno.h>
#include <unistd.h>

#include "lib/kernel/holes.h"

int holes_next_data(int fd, uint64_t offset, struct uffdctl_range *ret)
{
	off_t data = lseek(fd, (off_t)offset, SEEK_DATA), hole;

	if (data < 0 && errno != ENXIO)
		return -errno;
	*ret = (struct uffdctl_range){ offset, offset };
	if (data < 0)
		return 0;
	hole = lseek(fd, data, SEEK_HOLE);
	if (hole < 0)
		return -errno;
	*ret = (struct uffdctl_range){ (uint64_t)data, (uint64_t)hole };
	return 0;
}
