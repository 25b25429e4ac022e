/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kind of memory of a mapping, found without accessing its file: on a file system whose server does not answer,
 * fstat(2) or statfs(2) would never return, and not even a signal would end us.
 */
#ifndef UFFDCTL_MEMORY_H
#define UFFDCTL_MEMORY_H

#include "bpf/event.h"
#include "lib/kernel/target.h"

/* As far as BPF knows it without a name. */
enum uffdctl_memory memory_of_event(const struct ev_vma *ev);

/*
 * After names are known: for each mapping whose memory BPF did not tell, set it by its device, if that is mounted
 * for the process, for us or for process 1. System V memory, which is SHMEM for BPF, becomes OTHER.
 * @procfd: of the process
 */
void memory_find(int procfd, struct uffdctl_vma *vmas, size_t nr);

/* Parse a line of mountinfo: the device and the type of its file system, which points into the line; -EINVAL. */
int mountinfo_parse(char *line, uint32_t *dev_major, uint32_t *dev_minor, const char **ret_type);

#endif
