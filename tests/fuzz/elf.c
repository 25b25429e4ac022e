// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names and versions of symbols in a hostile ELF file. The frame is sound, since libelf is not what is
 * tried here; the contents of its sections are the input, cut up by its first bytes.
 */
#include "lib/symbols/elf_symbols.c"

#include "fuzz.h"

enum { NONE, DYNSYM, DYNSTR, VERSYM, VERDEF, DYNAMIC, NR_SECTIONS };

static const struct {
	Elf64_Word type, link;
	Elf64_Xword entsize;
} sections[NR_SECTIONS] = {
	[DYNSYM] = { SHT_DYNSYM, DYNSTR, sizeof(Elf64_Sym) },
	[DYNSTR] = { SHT_STRTAB, 0, 0 },
	[VERSYM] = { SHT_GNU_versym, DYNSYM, sizeof(Elf64_Versym) },
	[VERDEF] = { SHT_GNU_verdef, DYNSTR, 0 },
	[DYNAMIC] = { SHT_DYNAMIC, DYNSTR, sizeof(Elf64_Dyn) },
};

struct image {
	Elf64_Ehdr ehdr;
	Elf64_Shdr shdrs[NR_SECTIONS];
	uint8_t contents[4096];
};

/* sizes: one byte a section, in units of 8 bytes; the last byte is the count that .gnu.version_d claims. */
static bool fill(struct image *im, const uint8_t *data, size_t size)
{
	size_t used = 0, at = offsetof(struct image, contents);

	if (size < NR_SECTIONS || size - NR_SECTIONS > sizeof(im->contents))
		return false;
	memcpy(im->ehdr.e_ident, ELFMAG, SELFMAG);
	im->ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	im->ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	im->ehdr.e_ident[EI_VERSION] = EV_CURRENT;
	im->ehdr.e_type = ET_DYN;
	im->ehdr.e_machine = EM_X86_64;
	im->ehdr.e_version = EV_CURRENT;
	im->ehdr.e_ehsize = sizeof(im->ehdr);
	im->ehdr.e_shentsize = sizeof(im->shdrs[0]);
	im->ehdr.e_shnum = NR_SECTIONS;
	im->ehdr.e_shoff = offsetof(struct image, shdrs);
	for (int i = DYNSYM; i < NR_SECTIONS; i++) {
		size_t len = MIN(data[i - 1] * (size_t)8, size - NR_SECTIONS - used);

		im->shdrs[i] = (Elf64_Shdr){
			.sh_type = sections[i].type,
			.sh_link = sections[i].link,
			.sh_entsize = sections[i].entsize,
			.sh_offset = at + used,
			.sh_size = sections[i].entsize ? len - len % sections[i].entsize : len,
			.sh_info = i == VERDEF ? data[NR_SECTIONS - 1] : 0,
			.sh_addralign = 1,
		};
		used += len;
	}
	memcpy(im->contents, data + NR_SECTIONS, size - NR_SECTIONS);
	return true;
}

static int on_object(const char *name, const GElf_Sym *sym, void *arg)
{
	const char *symbol = arg;

	ENSURE(strlen(name) < 2 * ELF_NAME_MAX && elf_symbol_matches(name, symbol) && is_object(sym));
	return 0;
}

/* The names that the input has itself, and one that seeds have. */
static void look_at(const struct elf_source *s)
{
	char name[ELF_NAME_MAX], fixed[] = "arena@@V1";
	struct table t;

	elf_has_soname(s, "libarena.so.1");
	elf_find_objects(s, SHT_DYNSYM, s, fixed, on_object, fixed);
	if (!find_table(s->elf, SHT_DYNSYM, &t))
		return;
	for (uint64_t at = 0; at < t.strings.sh_size; at += strlen(name) + 1) {
		read_name(s, &t.strings, at, name, sizeof(name));
		elf_symbol_matches(name, fixed);
		elf_symbol_matches(fixed, name);
		elf_find_objects(s, SHT_DYNSYM, s, name, on_object, name);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *im = calloc(1, sizeof(*im));
	struct elf_source s = { .fd = -1, .image = (const char *)im, .size = sizeof(*im) };

	ENSURE(im);
	elf_version(EV_CURRENT);
	if (fill(im, data, size)) {
		s.elf = elf_memory((char *)im, sizeof(*im));
		ENSURE(s.elf);
		look_at(&s);
		elf_end(s.elf);
	}
	free(im);
	return 0;
}
