// SPDX-License-Identifier: LGPL-2.1-or-later
/* Checks that there is room for new pages, before the kernel kills a process for them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "lib/drive/room.h"
#include "lib/inspect/pagecache.h"
#include "lib/kernel/memcg.h"
#include "lib/kernel/pagemap.h"
#include "lib/log.h"

static uint64_t nr_unmapped(const struct job *job, const struct part *p)
{
	struct uffdctl_range r = { p->seg.range.start, p->seg.range.start }, whole = p->seg.range;
	uint64_t page = p->seg.vma->page_size, nr = 0;
	uint8_t states[512];

	for (; r.start < whole.end; r.start = r.end) {
		r.end = MIN(r.start + sizeof(states) * page, whole.end);
		if (pagemap_read(job->pagemap, p->seg.vma, r, states) < 0)
			return range_len(whole) / page;
		for (uint64_t i = 0; i < range_len(r) / page; i++)
			nr += !(states[i] & PTE_MAPPED);
	}
	return nr;
}

/* Huge pages are not charged like others. */
static bool may_need(const struct job *job, const struct part *p)
{
	const struct uffdctl_vma *v = p->seg.vma;

	return !p->gone && v->page_size == base_page_size() && job->op->takes_memory(job, v);
}

static bool any_may_need(const struct job *job)
{
	for (size_t i = 0; i < job->nr_parts; i++)
		if (may_need(job, &job->parts[i]))
			return true;
	return false;
}

/* Upper bound of the memory that a part may need, in bytes. */
static uint64_t need_of(const struct job *job, const struct part *p)
{
	const struct uffdctl_vma *v = p->seg.vma;
	uint64_t need, there;
	struct stat st;

	if (!may_need(job, p))
		return 0;
	need = nr_unmapped(job, p) * v->page_size;
	if (!vma_is_shared(v) || pagecache_stat(job->h->t, v, &st) < 0)
		return need;
	there = MIN((uint64_t)st.st_size, (uint64_t)st.st_blocks * 512);
	return MIN(need, st.st_size - there);
}

/*
 * At the limit of a memory cgroup, the kernel kills a process in it, and nothing shows why. So if the target would be
 * charged for too many pages, refuse beforehand, unless forced; if we would be, warn.
 */
int room_check(struct job *job)
{
	bool ours = !job->op->makes_pages;
	_cleanup_close_ int self = -1;
	uint64_t room, need = 0;

	if (job->opts->flags & UFFDCTL_ACTION_FORCE || !any_may_need(job))
		return 0;
	self = ours ? open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	room = memcg_room(ours ? self : job->h->t->procfd);
	if (job->total_bytes <= room)
		return 0;
	for (size_t i = 0; i < job->nr_parts; i++)
		need += need_of(job, &job->parts[i]);
	if (need <= room)
		return 0;
	if (!ours)
		return fail(job->h->t->u, -ENOMEM,
			    "%d: these pages may need %" PRIu64 " bytes, and its memory cgroup has room for %" PRIu64
			    ": at the limit the kernel would kill the process (raise the limit, or use --force)",
			    job->h->t->pid, need, room);
	log_warning(job->h->t->u,
		    "%d: these pages may need %" PRIu64
		    " bytes, and uffdctl's own memory cgroup, which is charged for them, has room for %" PRIu64,
		    job->h->t->pid, need, room);
	return 0;
}
