/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Userfaultfds and their holders. */
#ifndef UFFDCTL_LIST_H
#define UFFDCTL_LIST_H

#include "lib/inspect/list_entries.h"

/* The options of uffdctl_list() and uffdctl_pending(), checked; failures are logged. */
int list_opts(struct uffdctl *u, const struct uffdctl_find_opts *opts, struct uffdctl_find_opts *ret);

/*
 * All userfaultfds, as from uffdctl_list().
 * @with_bytes: count the bytes registered on each, which reads all mappings
 */
int list_open(struct uffdctl *u, enum uffdctl_source wanted, bool with_bytes, struct uffdctl_list **ret);

/*
 * The userfaultfds that govern the memory of a process, without names and counts: this reads no file of their holders.
 * @mm: its memory, of bpf/event.h; 0: there is no BPF; then the process's own descriptors, whatever they govern
 * @all: those that any process holds, not only the process itself
 */
int list_of_memory(struct uffdctl *u, pid_t pid, uint64_t mm, bool all, struct uffdctl_list **ret);

/* The number of a userfaultfd in the list; UFFDCTL_CTX_UNHELD if it is not there; 0 for none, or from /proc. */
uint32_t list_ctx(const struct uffdctl_list *l, uint64_t id);

/* "4211:14, 4377:9": the wanted descriptors of the list; free with free(). */
char *list_name(const struct uffdctl_list *l, bool (*is_wanted)(const struct uffdctl_uffd *d, const void *arg),
		const void *arg);

/* Likewise: who holds a userfaultfd; free with free(). */
char *list_holders(const struct uffdctl_list *l, uint32_t ctx);

#endif
