/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of filling: of the whole job, of each part, and of the few pages that are filled at a time (step). */
#ifndef UFFDCTL_FILLING_H
#define UFFDCTL_FILLING_H

#include "lib/drive/chunk.h"
#include "lib/inspect/alias.h"

/* How often to retry a page that is removed from the file while we work on it. */
#define FILL_TRIES 100

struct file {
	const struct uffdctl_vma *vma; /* one that maps it */
	int fd;
};

/* Parallel to struct part. */
struct fill_part {
	const struct file *file; /* that of the second mapping */
	uint8_t *mapped_before;	 /* a bit for each page; NULL: the target may map pages itself */
	uint8_t *settled;	 /* likewise; no other part is to fill these pages of the file */
	uint64_t written;	 /* bytes, whatever happened afterwards */
	uint64_t continued;	 /* the part of these that is mapped now or gone from the file again */
};

struct filling {
	struct file *files; /* room for one for each part, so that they never move */
	size_t nr_files;
	struct fill_part *parts; /* parallel to job->parts */
	size_t nr_parts;
	struct alias_index aliases;
	size_t *first_part; /* by mapping: its first part's number + 1 */
	int guard;
	int own_pagemap;
	bool several; /* there are several ranges, which may map the same pages */
	bool absent;  /* the last page was not in the page cache: expect the same of the next one */
};

enum page_fill {
	KEEP, /* not to be filled: mapped (with --elsewhere=keep anywhere), poisoned, done by another part, past the end */
	WANTED, /* to be filled */
	CACHED, /* in the page cache, and in the window */
	MADE,	/* put there by us */
	WRITTEN,
	ELSEWHERE, /* not to be written: somebody else has it mapped, or it is swapped out */
};

/* The range that is filled in one step. */
struct step {
	struct chunk *c;
	struct filling *f;
	struct fill_part *part;
	struct uffdctl_range range;
	struct uffdctl_range mapped; /* that the window maps */
	char *window;
	int err;			      /* why the rest of range is not done */
	bool unreadable;		      /* the reason is that the contents ended or can't be read */
	uint8_t pages[CONTENTS_BYTES / 4096]; /* enum page_fill */
};

struct fill_part *filling_part(const struct job *job, const struct part *p);

static inline bool filling_is_forced(const struct job *job)
{
	return job->opts->flags & UFFDCTL_ACTION_FORCE;
}

/* ---- pages of a step ---- */

static inline uint64_t step_nr_pages(const struct step *s)
{
	return range_len(s->range) / chunk_page_size(s->c);
}

static inline uint64_t step_index(const struct step *s, uint64_t addr)
{
	return (addr - s->range.start) / chunk_page_size(s->c);
}

static inline void step_set_pages(struct step *s, struct uffdctl_range r, enum page_fill what)
{
	for (; r.start < r.end; r.start += chunk_page_size(s->c))
		s->pages[step_index(s, r.start)] = what;
}

/* The next run of pages in the same state from *at on; false: there is none. */
bool step_next_run(const struct step *s, enum page_fill what, uint64_t *at, struct uffdctl_range *ret);

/* End the range here, and keep the error for the rest. */
static inline void step_cut(struct step *s, uint64_t at, int err)
{
	s->range.end = at;
	s->err = err;
}

/* Read their state in the target's page table into c->states. -errno */
int step_read_states(struct step *s);

#endif
