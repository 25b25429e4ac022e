/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Data objects of a running process's ELF files. */
#ifndef UFFDCTL_ELF_H
#define UFFDCTL_ELF_H

#include "lib/kernel/target.h"

/*
 * Find the memory of a data object.
 * @module: base name or SONAME of the file, NULL for any
 * @symbol: its name, optionally with its version (arena@@V1)
 * @ret: out, not rounded
 * -ENOENT: there is none; -ENOTUNIQ: there are several; both are logged, the second one with the candidates.
 */
int elf_find_object(struct uffdctl_target *t, const struct uffdctl_vma *vmas, size_t nr_vmas, const char *module,
		    const char *symbol, struct uffdctl_range *ret);

#endif
