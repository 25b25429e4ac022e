/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kind of memory of a mapping, found without accessing its file: on a file system whose server does not answer,
 * fstat(2) or statfs(2) would never return, and not even a signal would end us.
 */
#ifndef UFFDCTL_KIND_H
#define UFFDCTL_KIND_H

#include "bpf/event.h"
#include "lib/kernel/target.h"

enum vma_kind {
	VMA_UNKNOWN, /* not known without BPF */
	VMA_ANON,
	VMA_SHMEM,
	VMA_HUGETLB,
	VMA_GUEST_MEMFD,
	VMA_OTHER,
};

/* The kind as far as BPF knows it without a name. */
enum vma_kind kind_of_event(const struct ev_vma *ev);

/*
 * After names are known: for each mapping whose kind BPF did not tell, set the kind by its device, if that is mounted
 * for the process, for us or for process 1.
 * @procfd: of the process
 */
void kinds_find(int procfd, struct uffdctl_vma *vmas, size_t nr);

/* Parse a line of mountinfo: the device and the type of its file system, which points into the line; -EINVAL. */
int mountinfo_parse(char *line, uint32_t *dev_major, uint32_t *dev_minor, const char **ret_type);

#endif
