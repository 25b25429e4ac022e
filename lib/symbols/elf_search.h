/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The search for a data object in ELF files, in a child (child.h), and the messages about its results. */
#ifndef UFFDCTL_ELF_SEARCH_H
#define UFFDCTL_ELF_SEARCH_H

#include <string.h>

#include "lib/kernel/target.h"
#include "lib/symbols/elf_symbols.h"
#include "lib/vma.h"

/* A loaded file: the first and the last of its mappings. */
struct elf_module {
	size_t first, last;
	int err; /* why it is not searched */
};

struct elf_search {
	struct uffdctl_target *t;
	const struct uffdctl_vma *vmas;
	size_t nr_vmas;
	const char *module_name, *symbol;
	struct elf_module *modules;
	size_t nr_modules;
	size_t next; /* module to go on with */
};

enum elf_message_kind {
	ELF_FOUND,	 /* an object */
	ELF_NAMED,	 /* a file that has the wanted name */
	ELF_NOT_READ,	 /* a file that could not be searched, see err */
	ELF_ALL_SEARCHED /* the end */
};

struct elf_message {
	enum elf_message_kind kind;
	int err;
	size_t module;
	struct uffdctl_range range;
	char name[2 * ELF_NAME_MAX];
};

static inline const struct uffdctl_vma *elf_vma_of(const struct elf_search *s, const struct elf_module *m)
{
	return &s->vmas[m->first];
}

static inline bool elf_is_part(const struct uffdctl_vma *v, const struct uffdctl_vma *w)
{
	return v->inode && vma_same_file(v, w);
}

/* The name without " (deleted)"; free with free(). */
static inline char *elf_plain_name(const char *name)
{
	return strndup(name, vma_name_len(name));
}

/* In the child, for child_start(). @arg: struct elf_search; messages go to sock, the last is ELF_ALL_SEARCHED. */
void elf_search_modules(int sock, void *arg);

#endif
