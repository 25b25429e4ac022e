// SPDX-License-Identifier: LGPL-2.1-or-later
/* One chunk of work: its errors, its contents, and what may delay it. */
#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/drive/chunk.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"

/* How long we retry while the kernel refuses because of an unread event or a changing mapping. */
#define CHANGING_NS UINT64_C(2000000000)

/* ---- errors ---- */

void chunk_error(struct chunk *c, int err, uint64_t addr)
{
	if (c->tally.err)
		return;
	c->tally.err = err;
	c->tally.err_addr = addr;
}

void chunk_gone(struct chunk *c, int err, uint64_t addr)
{
	chunk_error(c, err, addr);
	c->gone = true;
}

void chunk_unreadable(struct chunk *c, int err, uint64_t addr)
{
	c->tally.unreadable |= !c->tally.err;
	chunk_gone(c, err, addr);
}

void chunk_conflict(struct chunk *c, uint64_t addr)
{
	struct uffdctl_handle *h = c->job->h;
	_cleanup_free_ char *fd = handle_describe(h);
	const char *or_itself = "";

	/* Such a page can appear without a fault that waits. */
	if (!(c->vma.modes & UFFDCTL_MODE_MISSING))
		or_itself = " (or the process has removed pages from its file and touched them again)";
	chunk_gone(c, -EBUSY, addr);
	if (job_stop(c->job, -EBUSY))
		log_error(h->t->u,
			  "%d: somebody else resolves faults of %s at the same time%s: stopped, so that nothing is filled twice; suspend that handler with SIGSTOP, or use --force to fill all the same",
			  h->t->pid, fd, or_itself);
}

bool chunk_stopped(const struct chunk *c)
{
	return job_stopped(c->job) != 0;
}

/* ---- what holds it up ---- */

bool chunk_pause(struct chunk *c, uint64_t *since)
{
	static const struct timespec pause = { .tv_nsec = 200 * 1000L };

	if (c->hasty)
		return false;
	if (!*since)
		*since = now_ns(CLOCK_MONOTONIC);
	if (now_ns(CLOCK_MONOTONIC) - *since > CHANGING_NS || chunk_stopped(c))
		return false;
	nanosleep(&pause, NULL);
	return true;
}

bool chunk_wait_changing(struct chunk *c, uint64_t addr)
{
	uint64_t since = 0;

	while (uffd_is_changing(c->job->h->uffd))
		if (!chunk_pause(c, &since)) {
			chunk_gone(c, job_stopped(c->job) ?: -EAGAIN, addr);
			return false;
		}
	return true;
}

/* ---- contents ---- */

#ifndef MAP_32BIT
#define MAP_32BIT 0
#endif

/*
 * The kernel also checks the source address of a copy against the limits of the target's address space: for a 32-bit
 * process it must be below 4 GiB.
 */
static char *low_pages(uint64_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_32BIT, -1, 0);

	if (p == MAP_FAILED)
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void chunk_free(struct chunk *c)
{
	if (c->contents.bytes)
		munmap(c->contents.bytes, c->contents.size);
	c->contents.bytes = NULL;
	c->contents.size = 0;
}

int chunk_reserve(struct chunk *c, uint64_t bytes)
{
	if (c->contents.size >= bytes)
		return 0;
	chunk_free(c);
	c->contents.bytes = low_pages(bytes);
	c->contents.size = c->contents.bytes ? bytes : 0;
	return c->contents.bytes ? 0 : -ENOMEM;
}

int chunk_read(struct chunk *c, struct uffdctl_range range, uint64_t *done)
{
	const struct part *p = c->part;
	int r;

	if (c->contents.given) {
		*done = range_len(range);
		return 0;
	}
	r = contents_read(&c->job->contents, p->from + (range.start - p->seg.range.start), c->contents.bytes,
			  range_len(range), done);

	c->contents.addr = range.start;
	*done = round_down(*done, chunk_page_size(c));
	return r;
}
