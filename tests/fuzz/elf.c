// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names and versions of symbols in a hostile ELF file. The frame is sound, since libelf is not what is
 * tried here; the contents of its sections are the input, cut up by its first bytes.
 */
#include "../../lib/elf.c"

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

static void look_at(Elf *elf)
{
	char version[256];
	GElf_Shdr shdr;
	Elf_Scn *scn = section_of_type(elf, SHT_DYNSYM, &shdr);
	Elf_Data *syms = scn ? elf_getdata(scn, NULL) : NULL;
	GElf_Sym sym;

	has_soname(elf, "libarena.so.1");
	for (int i = 0; syms && gelf_getsym(syms, i, &sym); i++) {
		const char *name = elf_strptr(elf, shdr.sh_link, sym.st_name);

		if (!name)
			continue;
		version_suffix(elf, name, sym.st_value, version, sizeof(version));
		ENSURE(strlen(version) < sizeof(version));
		symbol_matches(name, "arena@@V1");
		symbol_matches("arena@@V1", name);
		is_object(&sym, sym.st_shndx);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *im = calloc(1, sizeof(*im));
	Elf *elf;

	ENSURE(im);
	elf_version(EV_CURRENT);
	if (fill(im, data, size)) {
		elf = elf_memory((char *)im, sizeof(*im));
		ENSURE(elf);
		look_at(elf);
		elf_end(elf);
	}
	free(im);
	return 0;
}
