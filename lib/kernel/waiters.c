// SPDX-License-Identifier: LGPL-2.1-or-later
/* The threads that wait on userfaultfds, found in the kernel's wait queues by a BPF program. */
#include <errno.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

#include "bpf/event.h"
#include "pending.lskel.h"

#include "lib/kernel/iter.h"
#include "lib/kernel/waiters.h"
#include "lib/log.h"
#include "lib/util.h"

int waiters_find(struct uffdctl *u)
{
	struct iter *it;
	int r = iter_get(u, &it);

	if (r >= 0 && !u->waiters)
		r = iter_load_skel(pending_bpf, &u->waiters, u->waiters->rodata->userfaultfd_fops = iter_fops(it));
	if (!u->waiters)
		return r;
	u->waiters_close = pending_bpf__destroy;
	u->waiters->bss->nr_found = 0;
	u->waiters->bss->nr_torn = 0;
	u->waiters->bss->nr_readers = 0;
	u->waiters->bss->run++;
	return iter_run(u->waiters->progs.waiters.prog_fd);
}

int waiters_visit(struct uffdctl *u, int (*fn)(const struct ev_waiter *ev, void *arg), void *arg)
{
	const struct pending_bpf *skel = u->waiters;
	size_t nr = MIN(skel->bss->nr_found, (uint64_t)EV_MAX_WAITERS),
	       size = EV_MAX_WAITERS * sizeof(struct ev_waiter);
	struct ev_waiter *found = mmap(NULL, size, PROT_READ, MAP_SHARED, skel->maps.found.map_fd, 0);
	int r = 0;

	if (found == MAP_FAILED)
		return -errno;
	for (size_t i = 0; r >= 0 && i < nr; i++)
		r = fn(&found[i], arg);
	munmap(found, size);
	if (nr < skel->bss->nr_found)
		log_warning(u, "more than %d threads wait: there is no room for the others", EV_MAX_WAITERS);
	return r;
}

int waiters_visit_readers(struct uffdctl *u, int (*fn)(const struct ev_reader *ev, void *arg), void *arg)
{
	const struct pending_bpf *skel = u->waiters;
	size_t nr = MIN(skel->bss->nr_readers, (uint64_t)EV_MAX_READERS),
	       size = EV_MAX_READERS * sizeof(struct ev_reader);
	struct ev_reader *found;
	int r = 0;

	if (nr < skel->bss->nr_readers)
		return -E2BIG;
	found = mmap(NULL, size, PROT_READ, MAP_SHARED, skel->maps.readers.map_fd, 0);
	if (found == MAP_FAILED)
		return -errno;
	for (size_t i = 0; r >= 0 && i < nr; i++)
		r = found[i].tid ? fn(&found[i], arg) : 0;
	munmap(found, size);
	return r;
}

uint64_t waiters_torn(const struct uffdctl *u, uint64_t *ret, size_t room)
{
	uint64_t nr = u->waiters ? u->waiters->bss->nr_torn : 0;

	for (size_t i = 0; i < nr && i < EV_MAX_TORN && i < room; i++)
		ret[i] = u->waiters->bss->torn[i];
	return nr;
}

bool waiters_all_found(const struct uffdctl *u)
{
	return u->waiters && u->waiters->bss->nr_found <= EV_MAX_WAITERS;
}
