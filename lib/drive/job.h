/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Resolving faults in bulk: the whole work (job), its share of one mapping (part), and the state of a thread (chunk).
 * Data of a single operation are separate: see op_data.
 */
#ifndef UFFDCTL_JOB_H
#define UFFDCTL_JOB_H

#include <pthread.h>

#include "lib/drive/contents.h"
#include "lib/drive/handle.h"
#include "lib/drive/recheck.h"

/*
 * The size of a chunk, before each of which the mapping is looked at: several page tables, so that no two threads
 * contend for the lock of one. Those with contents are small: these take longer.
 */
#define MAX_CHUNK_BYTES (UINT64_C(16) << 20)
#define CONTENTS_CHUNK_BYTES (UINT64_C(4) << 20)

/*
 * How many bytes of contents are read at a time: few, since the mapping may go away between the check and the write.
 */
#define CONTENTS_BYTES (UINT64_C(256) << 10)

struct tally {
	uint64_t mapped, already, absent;
	uint64_t filled;    /* the part of mapped that was written first */
	uint64_t elsewhere; /* left alone, because it is mapped elsewhere */
	uint64_t unmapped;  /* the part of already that is only in the page cache, so that minor faults wait for it */
	uint64_t poisoned;  /* the part of already that is poisoned */
	int err;	    /* the first, with its page */
	uint64_t err_addr;
	bool unreadable; /* err comes from reading the contents */
};

/* What was done, also after an error. */
static inline uint64_t tally_done(const struct tally *t)
{
	return t->mapped + t->already + t->absent + t->elsewhere;
}

struct part {
	struct segment seg;
	uint64_t from;	       /* offset of its contents */
	const char *objection; /* why nothing is done here */
	struct tally tally;
	bool gone;		       /* an error that concerns all of it */
	bool second_round;	       /* to be done after all others */
	const struct part *split_from; /* the one among the job's that it was a piece of; NULL: it is one of them */
};

struct job {
	struct uffdctl_handle *h;
	const struct uffdctl_action_opts *opts;
	const struct resolve_op *op;
	void *op_data; /* the operation's own */
	struct part *parts;
	size_t nr_parts;
	struct strpool strings;
	struct contents contents;
	int pagemap;
	bool needs_pagemap; /* without it nothing can be done */
	struct recheck recheck;
	int stop; /* a negative errno: why all end their work */
	uint64_t total_bytes, chunk_bytes;
};

/* The state of a thread for one chunk. */
struct chunk {
	struct job *job;
	struct part *part;
	struct uffdctl_vma vma; /* the mapping of the part, with the modes that it has now */
	struct uffdctl_range range;
	struct tally tally;
	struct uffdctl_range asleep; /* mapped by others; threads may still wait for it */
	uint8_t *states;	     /* enum pte_state of its pages, if they were read */
	struct {
		char *bytes; /* kept from chunk to chunk */
		uint64_t size;
		uint64_t addr; /* the address that bytes[0] is for */
		bool given;    /* they have been read: chunk_read() need not do it */
	} contents;
	const void *op_data; /* set by op->do_chunk(), for op->judge() */
	bool gone;
	bool hasty; /* while the mapping changes, do not wait but fail with -EAGAIN */
};

/* What may be done with a page; a run of pages with the same value is done at once. */
enum verdict {
	LEAVE, /* mapped: must not be written */
	RESOLVE,
	RESOLVE_FILLED, /* we have just written its contents */
	KEEP_OUT,	/* mapped elsewhere: left alone, and its waiters keep waiting */
	POISONED,	/* left alone, too, and counted */
	MARKED,		/* read-write-protected: the ioctl would drop the mark */
};

/* One of the ioctls. */
struct resolve_op {
	uint64_t mode;	/* "all" selects the mappings registered for this mode */
	uint64_t marks; /* modes whose marks it would drop, unless each page is checked */
	/*
	 * The ioctl on part of a mapping.
	 * @wp: keep it write-protected
	 * @done: out, bytes that were done, also after an error
	 */
	int (*issue)(const struct chunk *c, struct uffdctl_range range, bool wp, uint64_t *done);
	int (*do_chunk)(struct chunk *c);
	/* Decides about the i-th page of resolve_pages(). NULL: all pages are RESOLVE. */
	enum verdict (*judge)(const struct chunk *c, uint64_t i);
	/* For RESOLVE_FILLED. */
	void (*resolve_filled)(struct chunk *c, struct uffdctl_range run, bool wp);

	/* From here on, all but takes_memory may be NULL. */

	/* Called before anything is done; failures are logged. */
	int (*prepare)(struct job *job, const struct uffdctl_maps *maps, const struct segments *segs);
	int (*add_part)(struct job *job, struct part *p);
	/* An ioctl returned EEXIST for a page that is not mapped. Can there be a page? NULL: yes. */
	bool (*may_exist)(struct chunk *c, uint64_t addr);
	/* Why the action can't be done on memory that this handle owns; NULL: it can. */
	const char *(*objection)(const struct job *job, const struct segment *seg);
	void (*finish)(struct job *job);
	/* The meaning of an errno of issue(); NULL: nothing special. */
	const char *(*error_text)(int err);
	/* Bytes of a part that were written, and neither continued nor removed again. */
	uint64_t (*left_written)(const struct job *job, const struct part *p);
	/* Can making pages in the mapping take additional memory? */
	bool (*takes_memory)(const struct job *job, const struct uffdctl_vma *v);
	uint64_t flags;	   /* UFFDCTL_ACTION_* that it has */
	bool has_contents; /* it can fill pages */
	bool makes_pages;  /* EFAULT: not "no page is there", but "none can be there" */
};

static inline int job_stopped(struct job *job)
{
	return __atomic_load_n(&job->stop, __ATOMIC_RELAXED);
}

/* Make all threads stop. True: we did it, and not another thread before. */
static inline bool job_stop(struct job *job, int err)
{
	int running = 0;

	return __atomic_compare_exchange_n(&job->stop, &running, err, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

#endif
