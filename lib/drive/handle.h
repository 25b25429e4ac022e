/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A userfaultfd of a target, duplicated into our process. */
#ifndef UFFDCTL_HANDLE_H
#define UFFDCTL_HANDLE_H

#include "lib/inspect/list.h"
#include "lib/inspect/segments.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/target.h"

/* lock.c's. */
struct handle_lock {
	int *others; /* the other userfaultfds of this memory, duplicated into our process */
	size_t nr_others, others_alloc;
	bool others_taken;
	uint64_t wait_ns;
	int (*stop)(void *data);
	void *data;
};

struct uffdctl_handle {
	struct uffdctl_target *t;
	int uffd;	  /* ours */
	pid_t pid;	  /* whose it is */
	int fd;		  /* its number there */
	uint64_t uffd_id; /* ctx of bpf/event.h; 0 without BPF */
	uint64_t features;
	struct uffdctl_list *list;

	struct handle_lock lock;
};

/* Who owns a mapping: this handle's userfaultfd, or another one. */
enum owner {
	OWNER_NONE,
	OWNER_US,
	OWNER_OTHER,
};

/* Without BPF the owner is not known: assume that it is this handle's userfaultfd, which the user chose. */
enum owner handle_owner(const struct uffdctl_handle *h, const struct uffdctl_vma *v, uint64_t owner);

/* "registered on another userfaultfd (4211:7)"; free with free(). */
char *handle_other_owner(const struct uffdctl_handle *h, const struct uffdctl_vma *v);

/* Mappings as actions need them: all, with owners if they are known. */
int handle_maps(struct uffdctl_handle *h, struct uffdctl_maps **ret);

/* "fd 7", or "fd 7 of 4211" if another process holds it. */
char *handle_describe(const struct uffdctl_handle *h);

/* What fdinfo says about it now. */
int handle_fdinfo(const struct uffdctl_handle *h, struct uffd_fdinfo *ret);

/* Does a handler read its messages, as far as this is visible? Checks several times, in 40 ms. -errno: not known. */
enum {
	READER_NONE,
	READER_WAITING,	  /* a handler waits in read, poll or epoll */
	READER_DELIVERED, /* a handler has read one that is not resolved */
};
int handle_reader(const struct uffdctl_handle *h);

#endif
