/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm_flags of the running kernel, and their mnemonics of proc_pid_smaps(5). */
#ifndef UFFDCTL_VMFLAGS_H
#define UFFDCTL_VMFLAGS_H

#include "lib/kernel/iter.h"

struct vmflags {
	char names[64][3];     /* by bit; "" for one that smaps does not show */
	uint64_t known;	       /* bits that are in the table, shown or not */
	uint64_t mode_bits[4]; /* by bit of the mode; 0: not in this kernel */
};

/*
 * Most bits never changed. VM_UFFD_MINOR and newer ones have moved between versions: they are learned from mappings
 * of our own. Bits that can't be named in this way are not in known.
 */
int vmflags_get(struct uffdctl *u, struct iter *it, const struct vmflags **ret);

uint64_t vmflags_modes(const struct vmflags *f, uint64_t vm_flags);

/* Modes by their mnemonics in "rd wr ui". */
uint64_t vmflags_modes_of_text(const char *text);

/* Mnemonics separated by spaces; @buf holds 64 * 3 bytes. */
void vmflags_text(const struct vmflags *f, uint64_t vm_flags, char *buf);

#endif
