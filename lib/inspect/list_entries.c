// SPDX-License-Identifier: LGPL-2.1-or-later
/* The entries of a list of userfaultfds, and what both sources need from /proc. */
#include <errno.h>
#include <string.h>

#include "lib/inspect/list_entries.h"
#include "lib/kernel/proc.h"
#include "lib/util.h"

/* The name of its first thread, which may have ended. */
int list_read_comm(pid_t pid, int procfd, struct uffdctl_uffd *d)
{
	struct proc_stat st;
	char path[64], buf[1024];
	int r;

	snprintf(path, sizeof(path), "task/%d/stat", pid);
	r = proc_read(procfd, path, buf, sizeof(buf));
	if (r < 0)
		return r;
	if (stat_parse(buf, &st) < 0)
		return -EPROTO;
	d->pid = pid;
	memcpy(d->comm, st.comm, sizeof(d->comm));
	return 0;
}

void list_read_fdinfo(int procfd, struct uffdctl_uffd *d)
{
	struct uffd_fdinfo info;
	char path[32], buf[1024];

	d->features = d->pending = d->total = UFFDCTL_UNKNOWN;
	snprintf(path, sizeof(path), "fdinfo/%d", d->fd);
	if (proc_read(procfd, path, buf, sizeof(buf)) < 0 || fdinfo_parse(buf, &info) < 0)
		return;
	d->pending = info.pending;
	d->total = info.total;
	if (info.handshake)
		d->features = info.features;
}

struct uffdctl_uffd *list_add(struct uffdctl_list *l)
{
	struct uffdctl_uffd *d = vec_add(l->uffds, l->nr, l->alloc);

	if (d) {
		*d = (struct uffdctl_uffd){ .has_reader = UFFDCTL_UNKNOWN };
		for (int i = 0; i < UFFDCTL_MAX_MODES; i++)
			d->bytes[i] = UFFDCTL_UNKNOWN;
	}
	return d;
}
