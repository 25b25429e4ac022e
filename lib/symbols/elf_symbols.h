/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The data objects of one ELF file that have a given name. Tables are read piece by piece, so that a few megabytes of
 * memory are enough, whatever the size of the tables.
 */
#ifndef UFFDCTL_ELF_SYMBOLS_H
#define UFFDCTL_ELF_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gelf.h>

#define ELF_NAME_MAX 512

/* An ELF file that is read: libelf's view for its headers, and where bytes come from. */
struct elf_source {
	Elf *elf;
	int fd;		   /* or -1: */
	const char *image; /* in memory */
	size_t size;
};

/* An object by its name with version, "arena@@V1". */
typedef int (*elf_object_fn)(const char *name, const GElf_Sym *sym, void *arg);

bool elf_has_table(Elf *elf, GElf_Word type);

/* Is this the DT_SONAME of the file? */
bool elf_has_soname(const struct elf_source *s, const char *name);

/*
 * Call fn for each data object with that name.
 * @type: type of the table, SHT_SYMTAB or SHT_DYNSYM
 * @versions: a file whose .dynsym has the versions for names without one in the table
 * @symbol: its name, optionally with its version
 * 0; -E2BIG: more symbols of that name, or in the table, than the limit; -ENOMEM; what fn returned.
 */
int elf_find_objects(const struct elf_source *s, GElf_Word type, const struct elf_source *versions, const char *symbol,
		     elf_object_fn fn, void *arg);

/* "arena" is any version of it; "arena@V1" and "arena@@V1" are one. */
bool elf_symbol_matches(const char *name, const char *wanted);

#endif
