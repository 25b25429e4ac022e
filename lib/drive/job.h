/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Resolving faults in bulk: the whole of it (job), one mapping's part, and what a thread has at hand (chunk). What
 * belongs to one of the operations alone is its own: see op_data.
 */
#ifndef UFFDCTL_JOB_H
#define UFFDCTL_JOB_H

#include <pthread.h>

#include "lib/drive/contents.h"
#include "lib/drive/handle.h"
#include "lib/drive/recheck.h"

/* What one thread takes at a time: two page tables, so that no two threads contend for one's lock. */
#define CHUNK_BYTES (UINT64_C(4) << 20)

/* What contents are read for at a time: little, since between a look at the mapping and the write it may go away. */
#define CONTENTS_BYTES (UINT64_C(256) << 10)

struct tally {
	uint64_t mapped, already, absent;
	uint64_t filled;    /* of mapped: written first */
	uint64_t elsewhere; /* left alone, since it is mapped elsewhere too */
	uint64_t unmapped;  /* of already: in the page cache only, where minor faults wait for it */
	int err;	    /* the first, with its page */
	uint64_t err_addr;
	bool unreadable; /* err is of reading the contents */
};

/* What was done, whatever came of it. */
static inline uint64_t tally_done(const struct tally *t)
{
	return t->mapped + t->already + t->absent + t->elsewhere;
}

struct part {
	struct segment seg;
	uint64_t from;	       /* where its contents are, from the beginning of the contents */
	const char *objection; /* why nothing is done here */
	struct tally tally;
	bool gone;	   /* an error that concerns all of it */
	bool second_round; /* to be done when all others are through */
};

struct job {
	struct uffdctl_handle *h;
	const struct uffdctl_resolve_opts *opts;
	const struct resolve_op *op;
	void *op_data; /* the operation's own */
	struct part *parts;
	size_t nr_parts;
	struct strpool strings;
	struct contents contents;
	int pagemap;
	bool needs_pagemap; /* nothing can be done without */
	struct recheck recheck;
	int stop; /* a negative errno: why all end their work */
	uint64_t total_bytes;
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
	struct {
		char *bytes; /* kept from chunk to chunk */
		uint64_t size;
		uint64_t addr; /* what the first is for */
	} contents;
	const void *op_data; /* op->do_chunk()'s, for op->judge() */
	bool gone;
};

/* What may be done with a page: pages that follow each other and are alike are done at once. */
enum verdict {
	LEAVE, /* mapped: not ours to write */
	RESOLVE,
	RESOLVE_FILLED, /* its contents were written by us just now */
	KEEP_OUT,	/* mapped elsewhere: left alone, and who waits on it waits on */
	MARKED,		/* read-write-protected: the ioctl would drop the mark */
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
	int (*issue)(const struct chunk *c, struct uffdctl_range range, bool wp, uint64_t *done);
	int (*do_chunk)(struct chunk *c);
	/* The i-th page that resolve_pages() is about. NULL: all is RESOLVE. */
	enum verdict (*judge)(const struct chunk *c, uint64_t i);
	/* For RESOLVE_FILLED. */
	void (*resolve_filled)(struct chunk *c, struct uffdctl_range run, bool wp);

	/* Before anything is done; the rest may be NULL. Failures are logged. */
	int (*prepare)(struct job *job, const struct uffdctl_maps *maps, const struct segments *segs);
	int (*add_part)(struct job *job, struct part *p);
	/* An ioctl said EEXIST where nothing is mapped. May a page be there all the same? NULL: as it says. */
	bool (*may_exist)(struct chunk *c, uint64_t addr);
	/* Why it can't be done on memory that is registered with us; NULL if it can. */
	const char *(*objection)(const struct job *job, const struct segment *seg);
	void (*finish)(struct job *job);
	/* What an errno of issue() means, NULL if nothing special. */
	const char *(*error_text)(int err);
	/* Bytes of a part that were written and neither continued nor taken back. */
	uint64_t (*left_written)(const struct job *job, const struct part *p);
	/* Whether pages of a mapping may take memory that was not taken before. */
	bool (*takes_memory)(const struct job *job, const struct uffdctl_vma *v);
	bool makes_pages; /* EFAULT: not "no page is there", but "none can be there" */
};

static inline int job_stopped(struct job *job)
{
	return __atomic_load_n(&job->stop, __ATOMIC_RELAXED);
}

/* All end their work. True: by us, and not by another thread before. */
static inline bool job_stop(struct job *job, int err)
{
	int running = 0;

	return __atomic_compare_exchange_n(&job->stop, &running, err, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

#endif
