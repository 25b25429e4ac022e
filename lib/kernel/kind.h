/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What kind of memory a mapping is, known without a look at its file: on a file system whose server does not
 * answer, fstat(2) or statfs(2) would never come back, and not even a signal would end us.
 */
#ifndef UFFDCTL_KIND_H
#define UFFDCTL_KIND_H

#include "bpf/event.h"
#include "lib/kernel/target.h"

enum vma_kind {
	VMA_UNKNOWN, /* can't be told without BPF */
	VMA_ANON,
	VMA_SHMEM,
	VMA_HUGETLB,
	VMA_GUEST_MEMFD,
	VMA_OTHER,
};

/* As far as BPF can tell it without a name. */
enum vma_kind kind_of_event(const struct ev_vma *ev);

/*
 * With their names known: give each mapping of which BPF told no kind one by its device, as far as that is mounted where the
 * process, we or process 1 can see it.
 * @procfd: of the process
 */
void kinds_find(int procfd, struct uffdctl_vma *vmas, size_t nr);

/* One line of mountinfo: the device and the type of its file system, within the line; -EINVAL. */
int mountinfo_parse(char *line, uint32_t *dev_major, uint32_t *dev_minor, const char **ret_type);

#endif
