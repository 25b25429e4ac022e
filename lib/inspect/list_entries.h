/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The entries of a list of userfaultfds, and what both sources need from /proc. */
#ifndef UFFDCTL_LIST_ENTRIES_H
#define UFFDCTL_LIST_ENTRIES_H

#include "lib/context.h"

struct uffdctl_list {
	struct uffdctl_uffd *uffds;
	uint64_t *ids, *mms; /* parallel to uffds: ctx and mm of bpf/event.h; NULL from proc */
	size_t nr, alloc, ids_alloc, mms_alloc;
	enum uffdctl_source source;
	const char *why;  /* not BPF, which was wanted too */
	size_t nr_hidden; /* processes whose descriptors may not be read */
};

/* Add an empty entry; NULL: out of memory. */
struct uffdctl_uffd *list_add(struct uffdctl_list *l);
/* PID and name of the holder. */
int list_read_comm(pid_t pid, int procfd, struct uffdctl_uffd *d);
/* What fdinfo says about it. */
void list_read_fdinfo(int procfd, struct uffdctl_uffd *d);

/* ---- the sources: list_bpf.c, list_proc.c ---- */

/* @with_bytes: count what is registered */
int list_from_bpf(struct uffdctl *u, struct uffdctl_list *l, bool with_bytes);
/* Those that govern one memory, with identities only. @holder: whose descriptors; 0: all processes' */
int list_from_bpf_of(struct uffdctl *u, struct uffdctl_list *l, pid_t holder, uint64_t mm);
/* @holder: likewise */
int list_from_proc(struct uffdctl_list *l, pid_t holder);

#endif
