/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a kind of memory can be registered for. */
#ifndef UFFDCTL_DOCTOR_MEMORY_H
#define UFFDCTL_DOCTOR_MEMORY_H

#include "lib/inspect/doctor_check.h"

/* A userfaultfd of our own with these features, without those that need a handler or a privilege. */
int memory_uffd(struct uffdctl_doctor *d, uint64_t features, int *ret);

/*
 * The modes for which memory of our own of this kind can be registered on uffd.
 * @unknown: out, modes for which this can't be found out, since such memory can't be made, or uffd is -1
 */
uint64_t memory_modes(struct uffdctl_doctor *d, int uffd, enum own_kind kind, uint64_t page_size, uint64_t *unknown);

#endif
