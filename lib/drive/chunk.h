/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One chunk of work: its errors, its contents, and what may delay it. */
#ifndef UFFDCTL_CHUNK_H
#define UFFDCTL_CHUNK_H

#include "lib/drive/job.h"
#include "lib/util.h"

static inline uint64_t chunk_page_size(const struct chunk *c)
{
	return c->part->seg.vma->page_size;
}

/* The offset of an address in the mapped file. */
static inline uint64_t part_offset(const struct part *p, uint64_t addr)
{
	return vma_offset(p->seg.vma, addr);
}

/* ---- errors: the first of a chunk is kept; one that concerns the whole part ends it ---- */

void chunk_error(struct chunk *c, int err, uint64_t addr);
void chunk_gone(struct chunk *c, int err, uint64_t addr);
void chunk_unreadable(struct chunk *c, int err, uint64_t addr);

/* Somebody else resolves faults there: end the whole work, and log it. */
void chunk_conflict(struct chunk *c, uint64_t addr);

/* Are all threads to stop? Then finish what is begun, and begin nothing more. */
bool chunk_stopped(const struct chunk *c);

/* ---- a mapping that changes, or an event that is unread ---- */

/* Wait a little before the kernel is asked again. @since: 0 at first. False: it has lasted too long, or all end. */
bool chunk_pause(struct chunk *c, uint64_t *since);

/*
 * While an event of the userfaultfd is unread, the kernel refuses to resolve faults (EAGAIN), so begin nothing that
 * resolving must follow: wait until the event is read. False: it stays unread; an error is recorded for this address.
 */
bool chunk_wait_changing(struct chunk *c, uint64_t addr);

/* ---- contents ---- */

/* Make room for at least this many bytes of them. -ENOMEM. */
int chunk_reserve(struct chunk *c, uint64_t bytes);
/*
 * Read those of a range, for which there must be room.
 * @done: out, bytes that were read, in whole pages, also after an error
 */
int chunk_read(struct chunk *c, struct uffdctl_range range, uint64_t *done);
/* Where those of an address are, within what was read. */
static inline char *chunk_at(const struct chunk *c, uint64_t addr)
{
	return c->contents.bytes + (addr - c->contents.addr);
}
void chunk_free(struct chunk *c);

#endif
