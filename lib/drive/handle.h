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
	uint64_t mm;	  /* likewise: the target's memory */
	uint64_t features;
	bool is_new; /* it was injected for this handle */
	enum uffdctl_source source;
	struct uffdctl_list *list; /* handle_look()'s */
	bool list_has_all;
	struct uffdctl_list *named; /* all of the machine, with names: for messages */

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

/* "registered on another userfaultfd (4211:7)", by its ctx of bpf/event.h; free with free(). */
char *handle_other_owner(struct uffdctl_handle *h, uint64_t owner);

/*
 * Fill h->list with the userfaultfds of the target's memory (without BPF: those of the target), unless it has them.
 * @all: also those that only other processes hold, for which all descriptors of the machine are looked at
 * Failures are logged.
 */
int handle_look(struct uffdctl_handle *h, bool all);

/* All userfaultfds of the machine; NULL: they can't be listed, which is logged. */
const struct uffdctl_list *handle_named(struct uffdctl_handle *h);

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

/*
 * A handle for an action that needs no userfaultfd, only the lock on the memory: it has none, and its list is filled.
 * Close with uffdctl_handle_close().
 */
int handle_open_bare(struct uffdctl_target *t, struct uffdctl_handle **ret);
/*
 * Take one of the list, to lock the memory by it, if there is any; otherwise h->uffd stays -1, and there is nothing that
 * could be locked.
 * @owner: of bpf/event.h: take this one first; 0: any
 */
int handle_take_any(struct uffdctl_handle *h, uint64_t owner);

#endif
