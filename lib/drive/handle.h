/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A userfaultfd of a target, in our hands. */
#ifndef UFFDCTL_HANDLE_H
#define UFFDCTL_HANDLE_H

#include "lib/inspect/list.h"
#include "lib/inspect/segments.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/target.h"

/* lock.c's. */
struct handle_lock {
	int *others; /* the other userfaultfds of this memory, in our hands */
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
	uint64_t uffd_id; /* what bpf/event.h calls ctx; 0 without BPF */
	uint64_t features;
	struct uffdctl_list *list;

	struct handle_lock lock;
};

/* Who owns a mapping, as far as this handle goes. */
enum owner {
	OWNER_NONE,
	OWNER_US,
	OWNER_OTHER,
};

/* Without BPF the owner can't be told: what is registered is taken for ours, as the user chose the handle. */
enum owner handle_owner(const struct uffdctl_handle *h, const struct uffdctl_vma *v, uint64_t owner);

/* "registered on another userfaultfd (4211:7)"; free with free(). */
char *handle_other_owner(const struct uffdctl_handle *h, const struct uffdctl_vma *v);

/* Mappings as actions need them: all, with owners where they can be had. */
int handle_maps(struct uffdctl_handle *h, struct uffdctl_maps **ret);

/* "fd 7", "fd 7 of 4211" where it is somebody else's. */
char *handle_describe(const struct uffdctl_handle *h);

/* What the kernel says of it now. */
int handle_fdinfo(const struct uffdctl_handle *h, struct uffd_fdinfo *ret);

/* Who reads its messages, as far as that shows: looked for several times, in 40 ms. -errno: it can't be told. */
enum {
	READER_NONE,
	READER_WAITING,	  /* somebody waits in read, poll or epoll */
	READER_DELIVERED, /* somebody has read one that is not resolved */
};
int handle_reader(const struct uffdctl_handle *h);

#endif
