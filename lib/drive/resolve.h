/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resolving faults in bulk by several threads: what continue, copy and zeropage have in common. */
#ifndef UFFDCTL_RESOLVE_H
#define UFFDCTL_RESOLVE_H

#include <pthread.h>

#include "lib/drive/contents.h"
#include "lib/drive/handle.h"
#include "lib/drive/recheck.h"

/* What one thread takes at a time: two page tables, so that no two threads contend for one's lock. */
#define CHUNK_BYTES (UINT64_C(4) << 20)

/* What is filled at a time: little, since between a look at the mapping and the write it may go away. */
#define FILL_BYTES (UINT64_C(256) << 10)

struct tally {
	uint64_t mapped, already, absent;
	uint64_t filled;    /* of mapped: written first */
	uint64_t written;   /* by fill.c, whatever came of it */
	uint64_t settled;   /* of written: mapped, or there already, or gone from the file again */
	uint64_t elsewhere; /* left alone, since it is mapped elsewhere too */
	uint64_t unmapped; /* of already: in the page cache only, where minor faults wait for it */
	int err; /* the first, with its page */
	uint64_t err_addr;
	bool unreadable; /* err is of reading the contents */
};

struct part {
	struct segment seg;
	uint64_t from;		 /* where its contents are, from the beginning of the contents */
	const struct file *file; /* fill.c: that of the second mapping */
	uint8_t *mapped_before;	 /* fill.c: a bit a page; NULL: what appears may be the target's doing */
	uint8_t *settled;	 /* fill.c: likewise; no other part is to fill these pages of the file */
	const char *objection;	 /* why nothing is done here */
	struct tally tally;
	bool gone;	   /* an error that concerns all of it */
	bool second_round; /* to be done when all others are through */
};

struct job {
	struct uffdctl_handle *h;
	const struct uffdctl_resolve_opts *opts;
	const struct resolve_op *op;
	struct part *parts;
	size_t nr_parts;
	struct strpool strings;
	struct contents contents;
	int pagemap;
	bool needs_pagemap; /* nothing can be done without */
	void *op_data;
	struct recheck recheck;

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t ended;
	unsigned int nr_running;
	size_t part; /* where the next chunk begins */
	uint64_t at;
	bool second_round;
	int stop; /* a negative errno: why all end their work */
	uint64_t done_bytes, total_bytes;
};

/* What a thread has at hand for one chunk. */
struct chunk {
	struct job *job;
	struct part *part;
	struct uffdctl_vma vma; /* the part's, with the modes that it has now */
	struct uffdctl_range range;
	struct tally tally;
	struct uffdctl_range asleep; /* mapped by others: threads may sleep on it all the same */
	uint8_t *states;	     /* enum pte_state of its pages, where they were asked for */
	char *buf;		     /* contents, kept from chunk to chunk */
	uint64_t buf_bytes;
	struct uffdctl_range held; /* copy.c: what buf is for */
	bool gone;
};

/* What may be done with a page: alike pages that follow each other are done at once. */
enum verdict {
	LEAVE, /* mapped: not ours to write */
	ACT,
	ACT_FILLED, /* its contents were written by us just now */
	KEEP_OUT,   /* mapped elsewhere: left alone, and who waits on it waits on */
	MARKED,	    /* read-write-protected: the ioctl would drop the mark */
};

/* One of the ioctls. */
struct resolve_op {
	uint64_t mode;	/* all takes what is registered for it */
	uint64_t marks; /* modes whose marks it would drop without a look at each page */
	/*
	 * The ioctl on part of a mapping.
	 * @wp: keep it write-protected
	 * @done: out, bytes that were done, also where an error is returned
	 */
	int (*act)(const struct chunk *c, struct uffdctl_range range, bool wp, uint64_t *done);
	int (*do_chunk)(struct chunk *c);
	/* Frees what do_chunk() has kept for the next chunk. */
	void (*end_thread)(struct chunk *c);
	/* NULL: everything is ACT. */
	enum verdict (*judge)(const struct chunk *c, uint8_t state);

	/* Before anything is done; the rest may be NULL. Failures are logged. */
	int (*prepare)(struct job *job, const struct uffdctl_maps *maps, const struct segments *segs);
	int (*add_part)(struct job *job, struct part *p);
	/* An ioctl said EEXIST where nothing is mapped. May a page be there all the same? NULL: as it says. */
	bool (*may_exist)(struct chunk *c, uint64_t addr);
	/* Why it can't be done on memory that is registered with us; NULL if it can. */
	const char *(*objection)(const struct job *job, const struct segment *seg);
	void (*finish)(struct job *job);
	/* What an errno of act means, NULL if nothing special. */
	const char *(*error_text)(int err);
	/* Whether pages of a mapping may take memory that was not taken before. */
	bool (*takes_memory)(const struct job *job, const struct uffdctl_vma *v);
	bool makes_pages; /* EFAULT: not "no page is there", but "none can be there" */
};

int resolve(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, const struct uffdctl_resolve_opts *opts,
	    const struct resolve_op *op, uffdctl_result_fn fn);

/* ---- for the ops ---- */

uint64_t page_of(const struct chunk *c);
/* Of an address in the file beneath. */
uint64_t file_offset(const struct part *p, uint64_t addr);

/* The first error of a chunk is kept; one that concerns the whole part ends it. */
void chunk_error(struct chunk *c, int err, uint64_t addr);
void chunk_gone(struct chunk *c, int err, uint64_t addr);
void chunk_unreadable(struct chunk *c, int err, uint64_t addr);

/* The ioctl on all of a range of the chunk, past pages that are mapped or absent. */
void resolve_run(struct chunk *c, struct uffdctl_range range, bool wp);
/* Likewise with a look for the marks that op drops, where there can be such. -errno of the look. */
int resolve_range(struct chunk *c, struct uffdctl_range range);
/* Likewise by what c->states says of its pages. */
void resolve_pages(struct chunk *c, struct uffdctl_range range);

/* Somebody else resolves faults there: all of the work ends, and it is said. */
void chunk_conflict(struct chunk *c, uint64_t addr);

/* All end their work: what is begun is done, nothing more. */
bool chunk_stopped(const struct chunk *c);

/*
 * While an event of the userfaultfd is unread, all that would resolve is refused (EAGAIN): so nothing should be done
 * that is to be followed by it. False: that lasts, which is noted as an error at this address.
 */
bool chunk_wait_changing(struct chunk *c, uint64_t addr);

/* Memory of our own for at least so many bytes, as c->buf. -ENOMEM. */
int chunk_buf(struct chunk *c, uint64_t bytes);
void chunk_free_buf(struct chunk *c);

#endif
