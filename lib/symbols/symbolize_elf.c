// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The functions and source lines of one ELF file and its debug file.
 *
 * Both files may belong to a target, which may make them arbitrarily large and wrong, and change them meanwhile.
 * Therefore libdwfl is not used: it maps files (SIGBUS if one is truncated), decompresses without limit, and searches
 * all symbols for each address.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <gelf.h>

#include "lib/cleanup.h"
#include "lib/symbols/elf_file.h"
#include "lib/symbols/symbolize_elf.h"
#include "lib/util.h"

#define SYMBOLS_MAX (UINT64_C(1) << 23)	      /* Chromium has 2 million */
#define STRINGS_MAX_BYTES (UINT64_C(1) << 29) /* of a symbol table */
#define DEBUG_MAX_BYTES (UINT64_C(1) << 30)   /* limit for debug sections that can't be mapped */
#define DEBUG_DIR "/usr/lib/debug/"	      /* only the package manager writes here, and it renames files */

struct function {
	uint64_t start, end;
	uint64_t max_end; /* the highest end of those up to here */
	const char *name; /* in a string table of an Elf */
	uint8_t rank;	  /* of several names for one address, the one with the highest rank is shown */
	bool sized;
};

struct code {
	int fd, debug_fd;
	Elf *elf, *debug;
	char *image;
	Dwarf *dwarf;
	bool lines_sought;
	bool debug_mapped;
	struct function *functions;
	size_t nr, alloc;
	uint64_t bytes;
};

/* ---- symbol tables ---- */

static Elf_Scn *find_section(Elf *elf, GElf_Word type, GElf_Shdr *shdr)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, shdr) && shdr->sh_type == type)
			return scn;
	return NULL;
}

static bool has_symtab(Elf *elf)
{
	GElf_Shdr shdr;

	return find_section(elf, SHT_SYMTAB, &shdr);
}

static bool is_debug_section(Elf *elf, const GElf_Shdr *shdr, const char *prefix)
{
	size_t names;
	const char *name = elf_getshdrstrndx(elf, &names) == 0 ? elf_strptr(elf, names, shdr->sh_name) : NULL;

	return name && !strncmp(name, prefix, strlen(prefix));
}

static bool has_lines(Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &shdr) && is_debug_section(elf, &shdr, ".debug_line"))
			return true;
	return false;
}

static bool is_code(const GElf_Sym *sym, const GElf_Shdr *section)
{
	int type = GELF_ST_TYPE(sym->st_info);

	if (type == STT_FUNC || type == STT_GNU_IFUNC)
		return true;
	/* A label of assembler code. */
	return type == STT_NOTYPE && section->sh_flags & SHF_EXECINSTR;
}

/* Prefer malloc to __libc_malloc, write to __write, memcpy to a label in it. */
static uint8_t rank_of(const GElf_Sym *sym, const char *name)
{
	return (sym->st_size != 0) << 6 | (GELF_ST_TYPE(sym->st_info) != STT_NOTYPE) << 5 |
	       (GELF_ST_BIND(sym->st_info) != STB_LOCAL) << 4 | (15 - MIN(strspn(name, "_"), (size_t)15));
}

static int add_function(struct code *c, Elf *elf, const GElf_Sym *sym, const char *name)
{
	GElf_Shdr shdr = {};
	Elf_Scn *scn = sym->st_shndx < SHN_LORESERVE ? elf_getscn(elf, sym->st_shndx) : NULL;
	uint64_t end, section_end;
	struct function *f;

	/* On arm64, "$x" marks the kind of bytes that follow. */
	if (sym->st_shndx == SHN_UNDEF || !name || !*name || *name == '$')
		return 0;
	if (!scn || !gelf_getshdr(scn, &shdr) || !is_code(sym, &shdr) ||
	    __builtin_add_overflow(sym->st_value, sym->st_size, &end) ||
	    __builtin_add_overflow(shdr.sh_addr, shdr.sh_size, &section_end))
		return 0;
	if (!sym->st_size)
		end = section_end;
	if (end <= sym->st_value)
		return 0;
	f = vec_add(c->functions, c->nr, c->alloc);
	if (!f)
		return -ENOMEM;
	*f = (struct function){
		.start = sym->st_value,
		.end = end,
		.name = name,
		.rank = rank_of(sym, name),
		.sized = sym->st_size,
	};
	return 0;
}

static int read_symbols(struct code *c, Elf *elf, GElf_Word type)
{
	GElf_Shdr shdr, strings;
	Elf_Scn *scn = find_section(elf, type, &shdr), *str_scn = scn ? elf_getscn(elf, shdr.sh_link) : NULL;
	Elf_Data *data;
	GElf_Sym sym;
	int r = 0;

	if (!str_scn || !gelf_getshdr(str_scn, &strings) || strings.sh_size > STRINGS_MAX_BYTES ||
	    (strings.sh_flags | shdr.sh_flags) & SHF_COMPRESSED || !shdr.sh_entsize ||
	    shdr.sh_size / shdr.sh_entsize > SYMBOLS_MAX || shdr.sh_size > SYMBOLS_MAX * sizeof(Elf64_Sym))
		return 0;
	data = elf_getdata(scn, NULL);
	c->bytes += shdr.sh_size + strings.sh_size;
	for (int i = 1; r == 0 && data && gelf_getsym(data, i, &sym); i++)
		r = add_function(c, elf, &sym, elf_strptr(elf, shdr.sh_link, sym.st_name));
	return r;
}

/* Among several at one address, the one to show comes first. */
static int cmp_function(const void *a, const void *b)
{
	const struct function *fa = a, *fb = b;

	if (fa->start != fb->start)
		return fa->start < fb->start ? -1 : 1;
	return fb->rank - fa->rank;
}

/* Sort, keep one for each address, and let those without a size end where the next begins. */
static void index_functions(struct code *c)
{
	size_t nr = 0;

	if (!c->nr)
		return;
	qsort(c->functions, c->nr, sizeof(*c->functions), cmp_function);
	for (size_t i = 0; i < c->nr; i++)
		if (!nr || c->functions[nr - 1].start != c->functions[i].start)
			c->functions[nr++] = c->functions[i];
	c->nr = nr;
	for (size_t i = 0; i < nr; i++) {
		struct function *f = &c->functions[i];

		if (!f->sized && i + 1 < nr)
			f->end = MIN(f->end, f[1].start);
		f->max_end = i ? MAX(f->end, f[-1].max_end) : f->end;
	}
}

/* The function that contains the address; if there is none, the label before it. */
static const struct function *find_function(const struct code *c, uint64_t addr)
{
	const struct function *label = NULL;
	size_t lo = 0, hi = c->nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (c->functions[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* In correct files it is the first or the second. */
	for (int steps = 0; lo > 0 && steps < 1000 && c->functions[lo - 1].max_end > addr; lo--, steps++) {
		const struct function *f = &c->functions[lo - 1];

		if (f->end > addr && f->sized)
			return f;
		if (f->end > addr && !label)
			label = f;
	}
	return label;
}

/* ---- lines ---- */

/* Debug sections are read, or decompressed, as a whole. */
static bool fits(Elf *elf, bool mapped, uint64_t *ret_bytes)
{
	uint64_t total = 0;
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	GElf_Chdr chdr;

	while ((scn = elf_nextscn(elf, scn))) {
		bool compressed;
		uint64_t size;

		if (!gelf_getshdr(scn, &shdr))
			return false;
		/* With the old compression format, the size is not known beforehand. */
		if (is_debug_section(elf, &shdr, ".zdebug"))
			return false;
		if (!is_debug_section(elf, &shdr, ".debug") || shdr.sh_type == SHT_NOBITS)
			continue;
		compressed = shdr.sh_flags & SHF_COMPRESSED && gelf_getchdr(scn, &chdr);
		size = compressed ? chdr.ch_size : mapped ? 0 : shdr.sh_size;
		if (size > DEBUG_MAX_BYTES || (total += size) > DEBUG_MAX_BYTES)
			return false;
	}
	*ret_bytes = total;
	return true;
}

static Dwarf *get_dwarf(struct code *c)
{
	Elf *elf = c->debug && has_lines(c->debug) ? c->debug : c->elf;
	uint64_t bytes;

	if (c->lines_sought)
		return c->dwarf;
	c->lines_sought = true;
	if (!has_lines(elf) || !fits(elf, elf == c->debug && c->debug_mapped, &bytes))
		return NULL;
	c->bytes += bytes;
	c->dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	/* libdw would open the file that .gnu_debugaltlink names, even a FIFO; it contains no lines. */
	if (c->dwarf)
		dwarf_setalt(c->dwarf, c->dwarf);
	return c->dwarf;
}

/* LLVM writes no .debug_aranges: search one compilation unit after the other. */
static Dwarf_Die *find_unit(Dwarf *dwarf, uint64_t addr, Dwarf_Die *die)
{
	Dwarf_Off at = 0, next;
	size_t header;

	if (dwarf_addrdie(dwarf, addr, die))
		return die;
	for (; dwarf_nextcu(dwarf, at, &next, &header, NULL, NULL, NULL) == 0 && next > at; at = next)
		if (dwarf_offdie(dwarf, at + header, die) && dwarf_haspc(die, addr) > 0)
			return die;
	return NULL;
}

static void find_line(struct code *c, uint64_t addr, struct code_place *place)
{
	Dwarf *dwarf = get_dwarf(c);
	Dwarf_Die mem, *unit = dwarf ? find_unit(dwarf, addr, &mem) : NULL;
	Dwarf_Line *line = unit ? dwarf_getsrc_die(unit, addr) : NULL;
	const char *source = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
	const char *slash = source ? strrchr(source, '/') : NULL;

	/* Line 0: code without a source line. */
	if (!source || dwarf_lineno(line, &place->line) != 0 || place->line <= 0)
		return;
	place->file = slash ? slash + 1 : source;
}

/* ---- files ---- */

static void open_debug(struct code *c, const char *path)
{
	_cleanup_free_ char *debug_path = NULL;
	GElf_Word crc = 0;
	const void *id = NULL;
	ssize_t id_len = dwelf_elf_gnu_build_id(c->elf, &id);
	const char *link = dwelf_elf_gnu_debuglink(c->elf, &crc);

	c->debug_fd = elf_open_debug(id, id_len > 0 && id_len <= 64 ? (int)id_len : 0, path, link, crc, &debug_path);
	if (c->debug_fd < 0)
		return;
	c->debug_mapped = debug_path && !strncmp(debug_path, DEBUG_DIR, strlen(DEBUG_DIR));
	c->debug = elf_begin_file(c->debug_fd, c->debug_mapped);
}

static int read_code(struct code *c)
{
	int r = 0;

	if (has_symtab(c->elf))
		r = read_symbols(c, c->elf, SHT_SYMTAB);
	else if (c->debug)
		r = read_symbols(c, c->debug, SHT_SYMTAB);
	if (r == 0 && !c->nr)
		r = read_symbols(c, c->elf, SHT_DYNSYM);
	index_functions(c);
	return r;
}

int code_open(int fd, const char *path, bool lines, struct code **ret)
{
	struct code *c = calloc(1, sizeof(*c));
	int r = -ENOEXEC;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	*c = (struct code){ .fd = fd, .debug_fd = -1, .elf = elf_begin_file(fd, false), .lines_sought = !lines };
	if (c->elf) {
		if (!has_symtab(c->elf) || (lines && !has_lines(c->elf)))
			open_debug(c, path);
		r = read_code(c);
	}
	if (r < 0) {
		code_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

int code_open_image(char *image, size_t size, struct code **ret)
{
	struct code *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	elf_version(EV_CURRENT);
	*c = (struct code){ .fd = -1, .debug_fd = -1, .elf = elf_memory(image, size), .lines_sought = true };
	r = c->elf ? read_code(c) : -ENOEXEC;
	if (r < 0) {
		code_close(c);
		return r;
	}
	c->image = image;
	*ret = c;
	return 0;
}

void code_close(struct code *c)
{
	if (!c)
		return;
	dwarf_end(c->dwarf);
	elf_end(c->debug);
	elf_end(c->elf);
	cleanup_close(&c->debug_fd);
	cleanup_close(&c->fd);
	free(c->functions);
	free(c->image);
	free(c);
}

size_t code_bytes(const struct code *c)
{
	return c->bytes + c->alloc * sizeof(*c->functions);
}

/* Segments may share a page of the file: prefer the one with code. */
static int vaddr_of(Elf *elf, uint64_t file_offset, uint64_t *ret)
{
	size_t nr;
	GElf_Phdr ph;

	if (elf_getphdrnum(elf, &nr) < 0)
		return -ENOENT;
	for (int exec = 1; exec >= 0; exec--)
		for (size_t i = 0; i < nr; i++) {
			if (!gelf_getphdr(elf, (int)i, &ph) || ph.p_type != PT_LOAD ||
			    (ph.p_flags & PF_X ? 1 : 0) != exec)
				continue;
			if (file_offset < ph.p_offset || file_offset - ph.p_offset >= ph.p_filesz)
				continue;
			*ret = file_offset - ph.p_offset + ph.p_vaddr;
			return 0;
		}
	return -ENOENT;
}

int code_find(struct code *c, uint64_t file_offset, struct code_place *ret)
{
	struct code_place place = {};
	const struct function *f;
	int r = vaddr_of(c->elf, file_offset, &place.vaddr);

	if (r < 0)
		return r;
	f = find_function(c, place.vaddr);
	if (f) {
		place.function = f->name;
		place.offset = place.vaddr - f->start;
	}
	find_line(c, place.vaddr, &place);
	*ret = place;
	return 0;
}
