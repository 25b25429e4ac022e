/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which pages of a mapping's file are in the page cache: asked without touching the target, and without making a page. */
#ifndef UFFDCTL_PRESENCE_H
#define UFFDCTL_PRESENCE_H

#include "lib/kernel/target.h"

enum presence_way {
	PRESENCE_NO_FILE,  /* there is no page cache: what is not in the page table is absent */
	PRESENCE_UNKNOWN,  /* it can't be found out */
	PRESENCE_COUNT,	   /* cachestat(2) */
	PRESENCE_DATA,	   /* before Linux 6.5: mincore(2) and SEEK_DATA */
	PRESENCE_MINCORE,  /* guest_memfd without cachestat(2): what mincore(2) sees */
	PRESENCE_CONTINUE, /* hugetlbfs: UFFDIO_CONTINUE on a mapping and a userfaultfd of our own */
};

struct presence {
	const struct uffdctl_vma *v;
	enum presence_way way;
	int fd, guard;
	bool holes_are_absent; /* PRESENCE_DATA: no page of the file was allocated and not written */
	const char *why;       /* PRESENCE_UNKNOWN */
};

/* Who asks. */
struct presence_client {
	/* The bytes of a part of the range whose state is known, all and those of them that are in the page cache. */
	void (*known)(void *arg, struct uffdctl_range range, uint64_t *ret_known, uint64_t *ret_cached);
	/* The answer for a part: what its pages are unless their state is known. 0, or a negative errno, which is returned. */
	int (*found)(void *arg, struct uffdctl_range range, enum uffdctl_page_state state, unsigned int marks);
	void *arg;
};

/* Choose the way. Without one it is PRESENCE_UNKNOWN, with the reason. */
void presence_open(struct uffdctl_target *t, const struct uffdctl_vma *v, struct presence *ret);
void presence_close(struct presence *p);

/*
 * So many bytes of the file are mapped here. If these are all that it has, also of pages that are swapped out or were
 * never written, then all others are absent, and need not be looked for.
 */
void presence_note_mapped(struct presence *p, uint64_t bytes);

/* Should it be asked about whole ranges, not only about those parts whose state is not known? */
bool presence_takes_known(const struct presence *p);

/* Ask about a range of the mapping: the answers are for parts of it, in their order, and cover it. */
int presence_find(const struct presence *p, struct uffdctl_range range, const struct presence_client *c);

#endif
