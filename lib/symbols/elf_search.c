// SPDX-License-Identifier: LGPL-2.1-or-later
/* The search for a data object in ELF files, in a child (child.h), and the messages about its results. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <elfutils/libdwelf.h>
#include <gelf.h>

#include "lib/cleanup.h"
#include "lib/symbols/child.h"
#include "lib/symbols/elf_file.h"
#include "lib/symbols/elf_search.h"
#include "lib/symbols/elf_symbols.h"
#include "lib/util.h"

#define DEBUGDATA_MAX_BYTES (UINT64_C(32) << 20)
#define OBJECTS_MAX 256

/* The file that is being searched. */
struct loaded {
	const struct elf_search *search;
	const struct elf_module *module;
	const char *path;
	Elf *elf;
	uint64_t bias;
	int sock;
	size_t nr;
};

static void say(int sock, const struct elf_message *m)
{
	if (send(sock, m, sizeof(*m), MSG_NOSIGNAL) < 0)
		_exit(0);
}

/* The segment that an address of the file belongs to. */
static bool find_segment(Elf *elf, uint64_t vaddr, GElf_Phdr *ret)
{
	size_t nr;

	if (elf_getphdrnum(elf, &nr) < 0)
		return false;
	for (size_t i = 0; i < nr; i++)
		if (gelf_getphdr(elf, (int)i, ret) && ret->p_type == PT_LOAD && vaddr >= ret->p_vaddr &&
		    vaddr - ret->p_vaddr < ret->p_memsz)
			return true;
	return false;
}

/* Find the difference between addresses in memory and in the file, from the segment in the first mapping. */
static bool find_bias(struct loaded *l)
{
	const struct uffdctl_vma *v = elf_vma_of(l->search, l->module);
	uint64_t page = base_page_size();
	GElf_Phdr ph;
	size_t nr;

	if (elf_getphdrnum(l->elf, &nr) < 0)
		return false;
	for (size_t i = 0; i < nr; i++) {
		if (!gelf_getphdr(l->elf, (int)i, &ph) || ph.p_type != PT_LOAD ||
		    v->offset < round_down(ph.p_offset, page) ||
		    v->offset - round_down(ph.p_offset, page) > ph.p_filesz)
			continue;
		l->bias = v->range.start - v->offset - (ph.p_vaddr - ph.p_offset);
		return true;
	}
	return false;
}

static const struct uffdctl_vma *vma_at(const struct elf_search *s, uint64_t addr)
{
	for (size_t i = 0; i < s->nr_vmas && s->vmas[i].range.start <= addr; i++)
		if (addr < s->vmas[i].range.end)
			return &s->vmas[i];
	return NULL;
}

/* The same file may be mapped there to be read, not loaded: then the object is not there. */
static bool is_loaded_at(const struct loaded *l, uint64_t vaddr, uint64_t addr)
{
	const struct uffdctl_vma *v = vma_at(l->search, addr);
	GElf_Phdr ph;

	if (!v || !find_segment(l->elf, vaddr, &ph))
		return false;
	if (elf_is_part(v, elf_vma_of(l->search, l->module)))
		return vma_offset(v, addr) == ph.p_offset + (vaddr - ph.p_vaddr);
	/* .bss, or the program has mapped something over its object. */
	return true;
}

static int found_object(const char *name, const GElf_Sym *sym, void *arg)
{
	struct loaded *l = arg;
	struct elf_message m = { .kind = ELF_FOUND, .module = l->module - l->search->modules };

	m.range.start = sym->st_value + l->bias;
	if (__builtin_add_overflow(m.range.start, sym->st_size, &m.range.end) ||
	    !is_loaded_at(l, sym->st_value, m.range.start))
		return 0;
	if (++l->nr > OBJECTS_MAX)
		return -E2BIG;
	snprintf(m.name, sizeof(m.name), "%s", name);
	say(l->sock, &m);
	return 0;
}

static Elf_Scn *section_named(Elf *elf, const char *wanted, GElf_Shdr *shdr)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return NULL;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *name = gelf_getshdr(scn, shdr) ? elf_strptr(elf, names, shdr->sh_name) : NULL;

		if (name && !strcmp(name, wanted))
			return scn;
	}
	return NULL;
}

/*
 * .gnu_debugdata: a compressed ELF file within the file (MiniDebugInfo). Our memory limit bounds its uncompressed
 * size.
 */
static int search_debugdata(struct loaded *l, const struct elf_source *s, const char *symbol)
{
	_cleanup_close_ int fd = -1;
	struct elf_source mini = { .fd = -1 };
	GElf_Shdr shdr;
	Elf_Scn *scn = section_named(s->elf, ".gnu_debugdata", &shdr);
	Elf_Data *data;
	int r = 0;

	if (!scn || shdr.sh_size > DEBUGDATA_MAX_BYTES || shdr.sh_flags & SHF_COMPRESSED)
		return 0;
	data = elf_rawdata(scn, NULL);
	fd = memfd_create("uffdctl-debugdata", MFD_CLOEXEC);
	if (!data || fd < 0 || write(fd, data->d_buf, data->d_size) != (ssize_t)data->d_size)
		return 0;
	mini.elf = dwelf_elf_begin(fd);
	mini.image = mini.elf ? elf_rawfile(mini.elf, &mini.size) : NULL;
	if (mini.image && elf_kind(mini.elf) == ELF_K_ELF && gelf_getclass(mini.elf) == gelf_getclass(s->elf))
		r = elf_find_objects(&mini, SHT_SYMTAB, s, symbol, found_object, l);
	elf_end(mini.elf);
	return r;
}

/* Search its debug file, or else the dynamic symbols and .gnu_debugdata. */
static int search_stripped(struct loaded *l, const struct elf_source *s, const char *symbol)
{
	_cleanup_free_ char *debug_path = NULL;
	_cleanup_close_ int fd = -1;
	GElf_Word crc = 0;
	const void *id = NULL;
	ssize_t id_len = dwelf_elf_gnu_build_id(s->elf, &id);
	const char *link = dwelf_elf_gnu_debuglink(s->elf, &crc);
	struct elf_source debug;
	int r;

	fd = elf_open_debug(id, id_len > 0 && id_len <= 64 ? (int)id_len : 0, l->path, link, crc, &debug_path);
	debug = (struct elf_source){ .fd = fd, .elf = fd < 0 ? NULL : elf_begin_file(fd, false) };
	if (debug.elf && elf_has_table(debug.elf, SHT_SYMTAB)) {
		r = elf_find_objects(&debug, SHT_SYMTAB, s, symbol, found_object, l);
	} else {
		r = elf_find_objects(s, SHT_DYNSYM, s, symbol, found_object, l);
		if (r == 0)
			r = search_debugdata(l, s, symbol);
	}
	elf_end(debug.elf);
	return r;
}

static int search_file(struct loaded *l, const struct elf_source *s, const char *name)
{
	const struct elf_search *search = l->search;
	struct elf_message named = { .kind = ELF_NAMED };

	if (search->module_name && strcmp(elf_base_name(name), search->module_name) &&
	    !elf_has_soname(s, search->module_name))
		return 0;
	say(l->sock, &named);
	if (!find_bias(l))
		return 0;
	if (elf_has_table(s->elf, SHT_SYMTAB))
		return elf_find_objects(s, SHT_SYMTAB, s, search->symbol, found_object, l);
	return search_stripped(l, s, search->symbol);
}

static void search_module(const struct elf_search *s, const struct elf_module *m, int sock)
{
	const struct uffdctl_vma *v = elf_vma_of(s, m);
	_cleanup_free_ char *path = NULL, *name = elf_plain_name(v->name);
	_cleanup_close_ int fd = elf_open_mapped(s->t->procfd, s->t->tid, v->name, v->range, &path);
	struct elf_message not_read = { .kind = ELF_NOT_READ, .module = m - s->modules };
	struct elf_source source = { .fd = fd };
	struct loaded l = { .search = s, .module = m, .path = path, .sock = sock };

	source.elf = l.elf = fd < 0 ? NULL : elf_begin_file(fd, false);
	if (!source.elf)
		return;
	not_read.err = name ? search_file(&l, &source, name) : -ENOMEM;
	elf_end(source.elf);
	if (not_read.err < 0)
		say(sock, &not_read);
}

void elf_search_modules(int sock, void *arg)
{
	const struct elf_search *s = arg;
	struct elf_message end = { .kind = ELF_ALL_SEARCHED };

	for (size_t i = s->next; i < s->nr_modules; i++) {
		child_mark(i);
		if (!s->modules[i].err)
			search_module(s, &s->modules[i], sock);
	}
	say(sock, &end);
}
