/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Userfaultfds and who holds them. */
#ifndef UFFDCTL_LIST_H
#define UFFDCTL_LIST_H

#include "lib/kernel/iter.h"

struct uffdctl_list {
	struct uffdctl_uffd *uffds;
	uint64_t *ctxs, *mms; /* beside uffds; NULL from proc */
	size_t nr, alloc, ctxs_alloc, mms_alloc;
	enum uffdctl_source source;
};

/* The number that a userfaultfd has in the list: UFFDCTL_CTX_UNHELD, or 0 for no userfaultfd. */
uint32_t list_ctx(const struct uffdctl_list *l, uint64_t ctx);

/* One record of the kernel's, and the memory of one process; -ENOENT if there is none. */
int list_find_fd(struct iter *it, pid_t pid, int fd, struct ev_file *ret);
int list_find_task(struct iter *it, pid_t pid, struct ev_task *ret);

/* "4211:14, 4377:9": who holds a userfaultfd; free with free(). */
char *list_holders(const struct uffdctl_list *l, uint32_t ctx);

#endif
