// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Functions and segments of a hostile ELF file. As in elf.c the frame is sound, since libelf is not what is
 * tried here: the input is program headers, the range of the section with code, symbols and names.
 */
#include "lib/symbols/symbolize_elf.c"

#include "fuzz.h"

enum {
	NONE,
	TEXT,
	SYMTAB,
	STRTAB,
	NR_SECTIONS
};

#define NR_SYMBOLS 64

struct input {
	Elf64_Phdr phdrs[2];
	Elf64_Addr text;
	Elf64_Xword text_len;
	Elf64_Sym syms[NR_SYMBOLS];
	char names[64];
};

struct image {
	Elf64_Ehdr ehdr;
	Elf64_Shdr shdrs[NR_SECTIONS];
	struct input input;
};

static void fill(struct image *im)
{
	size_t at = offsetof(struct image, input);

	memcpy(im->ehdr.e_ident, ELFMAG, SELFMAG);
	im->ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	im->ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	im->ehdr.e_ident[EI_VERSION] = EV_CURRENT;
	im->ehdr.e_type = ET_DYN;
	im->ehdr.e_machine = EM_X86_64;
	im->ehdr.e_version = EV_CURRENT;
	im->ehdr.e_ehsize = sizeof(im->ehdr);
	im->ehdr.e_phentsize = sizeof(im->input.phdrs[0]);
	im->ehdr.e_phnum = 2;
	im->ehdr.e_phoff = at + offsetof(struct input, phdrs);
	im->ehdr.e_shentsize = sizeof(im->shdrs[0]);
	im->ehdr.e_shnum = NR_SECTIONS;
	im->ehdr.e_shoff = offsetof(struct image, shdrs);
	im->shdrs[TEXT] = (Elf64_Shdr){ .sh_type = SHT_NOBITS,
					.sh_flags = SHF_EXECINSTR,
					.sh_addr = im->input.text,
					.sh_size = im->input.text_len };
	im->shdrs[SYMTAB] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB,
					  .sh_link = STRTAB,
					  .sh_offset = at + offsetof(struct input, syms),
					  .sh_size = sizeof(im->input.syms),
					  .sh_entsize = sizeof(im->input.syms[0]),
					  .sh_addralign = 8 };
	im->shdrs[STRTAB] = (Elf64_Shdr){ .sh_type = SHT_STRTAB,
					  .sh_offset = at + offsetof(struct input, names),
					  .sh_size = sizeof(im->input.names),
					  .sh_addralign = 1 };
}

static void check(struct code *c, uint64_t file_offset)
{
	struct code_place place;

	if (code_find(c, file_offset, &place) < 0)
		return;
	ENSURE(!place.function || (*place.function && place.offset <= place.vaddr));
	ENSURE(!place.file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *im = calloc(1, sizeof(*im));
	struct code *c;

	ENSURE(im);
	memcpy(&im->input, data, MIN(size, sizeof(im->input)));
	fill(im);
	if (code_open_image((char *)im, sizeof(*im), &c) < 0)
		abort();
	for (size_t i = 1; i < c->nr; i++)
		ENSURE(c->functions[i - 1].start < c->functions[i].start &&
		       c->functions[i].start < c->functions[i].end);
	for (size_t i = 0; i < NR_SYMBOLS; i++)
		check(c, im->input.syms[i].st_value - im->input.phdrs[0].p_vaddr + im->input.phdrs[0].p_offset);
	check(c, im->input.phdrs[1].p_offset);
	code_close(c);
	return 0;
}
