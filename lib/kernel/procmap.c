// SPDX-License-Identifier: LGPL-2.1-or-later
/* PROCMAP_QUERY (Linux 6.11): get one mapping of a process without reading all. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/kernel/procmap.h"
#include "lib/kernel/uapi.h"

/* As seq_path() of /proc/PID/maps writes it. */
static void escape_newlines(const char *name, char *buf)
{
	for (; *name; name++) {
		if (*name == '\n')
			buf = stpcpy(buf, "\\012");
		else
			*buf++ = *name;
	}
	*buf = '\0';
}

int procmap_query(int mapsfd, uint64_t addr, char *name, struct maps_line *ret, uint64_t *ret_page_size)
{
	char raw[PATH_MAX];
	struct procmap_query q = {
		.size = sizeof(q),
		.query_addr = addr,
		.vma_name_addr = name ? (uintptr_t)raw : 0,
		.vma_name_size = name ? sizeof(raw) : 0,
	};

	if (ioctl(mapsfd, PROCMAP_QUERY, &q) < 0)
		return -errno;
	*ret = (struct maps_line){ .range = { q.vma_start, q.vma_end },
				   .offset = q.vma_offset,
				   .dev_major = q.dev_major,
				   .dev_minor = q.dev_minor,
				   .inode = q.inode,
				   .name = name };
	snprintf(ret->perms, sizeof(ret->perms), "%c%c%c%c", q.vma_flags & PROCMAP_QUERY_VMA_READABLE ? 'r' : '-',
		 q.vma_flags & PROCMAP_QUERY_VMA_WRITABLE ? 'w' : '-',
		 q.vma_flags & PROCMAP_QUERY_VMA_EXECUTABLE ? 'x' : '-',
		 q.vma_flags & PROCMAP_QUERY_VMA_SHARED ? 's' : 'p');
	if (name)
		escape_newlines(q.vma_name_size ? raw : "", name);
	if (ret_page_size)
		*ret_page_size = q.vma_page_size;
	return 0;
}
