/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The search for a data object in ELF files, as a child does it (child.h), and what it says of what it finds. */
#ifndef UFFDCTL_ELF_SEARCH_H
#define UFFDCTL_ELF_SEARCH_H

#include <string.h>

#include "lib/kernel/target.h"
#include "lib/symbols/elf_symbols.h"
#include "lib/vma.h"

/* A file where it is loaded: the first and the last of its mappings. */
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
	ELF_NAMED,	 /* a file of the name that is sought */
	ELF_NOT_READ,	 /* a file that takes more than is allowed */
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

/* The name without the mark of an unlinked file; free with free(). */
static inline char *elf_plain_name(const char *name)
{
	return strndup(name, vma_name_len(name));
}

/* In the child, for child_start(). @arg: struct elf_search; messages go to sock, the last is ELF_ALL_SEARCHED. */
void elf_search_modules(int sock, void *arg);

#endif
