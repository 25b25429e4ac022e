/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One mapping: its file, and the offset of an address in it. */
#ifndef UFFDCTL_VMA_H
#define UFFDCTL_VMA_H

#include "lib/uffdctl.h"

static inline bool vma_is_shared(const struct uffdctl_vma *v)
{
	return v->perms[3] == 's';
}

/* An address's offset in the file of its mapping; if that has no file, from its start: maps shows 0 for its offset. */
static inline uint64_t vma_offset(const struct uffdctl_vma *v, uint64_t addr)
{
	return v->offset + (addr - v->range.start);
}

static inline bool vma_has_file(const struct uffdctl_vma *v, uint32_t dev_major, uint32_t dev_minor, uint64_t inode)
{
	return v->inode == inode && v->dev_major == dev_major && v->dev_minor == dev_minor;
}

static inline bool vma_same_file(const struct uffdctl_vma *v, const struct uffdctl_vma *w)
{
	return vma_has_file(v, w->dev_major, w->dev_minor, w->inode);
}

/* The length of a mapping's name without " (deleted)". */
size_t vma_name_len(const char *name);

/* "7f…-7f… rw-s /memfd:guest", escaped; free with free(). */
char *vma_describe(const struct uffdctl_vma *v);

#endif
