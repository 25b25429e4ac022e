/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of our own, of each kind that a target may have, to try things on. */
#ifndef UFFDCTL_OWN_MEMORY_H
#define UFFDCTL_OWN_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum own_kind {
	OWN_ANON,
	OWN_SHMEM,	     /* memfd, mapped shared */
	OWN_SHMEM_PRIVATE,   /* the same, mapped private */
	OWN_TMPFS,	     /* a file without a name on a tmpfs */
	OWN_HUGETLB,	     /* memfd of huge pages, mapped shared */
	OWN_HUGETLB_PRIVATE, /* the same, mapped private */
	OWN_GUEST_MEMFD,
	OWN_FILE, /* our program's file, mapped private */
	OWN_NR_KINDS,
};

/* What each page is for: see uffd_try(). */
enum own_page {
	OWN_PAGE_COPY,
	OWN_PAGE_CACHED, /* in the page cache, not in the page table */
	OWN_PAGE_ZERO,
	OWN_PAGE_POISON,
	OWN_PAGE_MOVE,
	OWN_TRY_PAGES,
};

struct own_memory {
	void *start;
	size_t len;
	uint64_t page_size;
	int fd;		     /* -1: none */
	bool has_cached;     /* OWN_PAGE_CACHED is */
	bool may_make_pages; /* pages of this kind can be made without taking the last reserved ones */
};

/*
 * Map OWN_TRY_PAGES pages. Nothing is touched.
 * @page_size: for OWN_HUGETLB*: that of the huge pages; 0: the default one
 * -ENOENT: there is no such memory here, such as no tmpfs that we may write to; -errno of memfd_create(2) and so on.
 */
int own_memory_open(enum own_kind kind, uint64_t page_size, struct own_memory *ret);
void own_memory_close(struct own_memory *m);

/* Can a guest_memfd be registered on this kernel, as one of ours can? 0: no; -errno: that can't be tried here. */
int own_guest_memfd_registers(uint64_t modes);

/* "anon", "shmem", … */
const char *own_kind_name(enum own_kind kind);

#endif
