// SPDX-License-Identifier: LGPL-2.1-or-later
/* Symbols of a running process's ELF files, by libdwfl. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <gelf.h>

#include "elf.h"
#include "log.h"
#include "util.h"

struct object {
	struct uffdctl_range range;
	char *label; /* "libfoo.so.1:arena@@V1", escaped */
};

struct search {
	struct uffdctl_target *t;
	const struct uffdctl_maps *maps;
	const char *module, *symbol;
	struct object *objects;
	size_t nr, alloc;
	bool module_seen;
};

#define SMALL_MAX_BYTES (UINT64_C(1) << 20)

/* e_ident, e_type and e_machine are at the same place in both. */
union elf_header {
	Elf32_Ehdr e32;
	Elf64_Ehdr e64;
};

/* find_elf of libdwfl has no argument of its own, and dwfl_linux_proc_report calls it at its own time. */
static __thread struct search *current;

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int elf_open_regular(int dirfd, const char *path, int flags)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_PATH | O_CLOEXEC | flags);
	char self[64];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return open(self, O_RDONLY | O_CLOEXEC);
}

/* Numbers of sections that the header has no room for (SHN_XINDEX) cost memory by what a target writes there. */
static bool is_sound(const union elf_header *h)
{
	if (memcmp(h->e64.e_ident, ELFMAG, SELFMAG) ||
	    h->e64.e_ident[EI_DATA] != ELFDATA2LSB + (BYTE_ORDER == BIG_ENDIAN) ||
	    (h->e64.e_type != ET_EXEC && h->e64.e_type != ET_DYN))
		return false;
	if (h->e64.e_ident[EI_CLASS] == ELFCLASS64)
		return (h->e64.e_shnum || !h->e64.e_shoff) && h->e64.e_phnum < PN_XNUM;
	return (h->e32.e_shnum || !h->e32.e_shoff) && h->e32.e_phnum < PN_XNUM;
}

/* What libelf reads as a whole when it is asked for build-id, debug link or a section's name. */
static bool is_modest(Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	GElf_Phdr ph;
	size_t nr, names;

	if (elf_getphdrnum(elf, &nr) < 0 || elf_getshdrstrndx(elf, &names) < 0)
		return false;
	for (size_t i = 0; i < nr; i++)
		if (!gelf_getphdr(elf, (int)i, &ph) || (ph.p_type == PT_NOTE && ph.p_filesz > SMALL_MAX_BYTES))
			return false;
	scn = elf_getscn(elf, names);
	if (scn && (!gelf_getshdr(scn, &shdr) || shdr.sh_size > SMALL_MAX_BYTES || shdr.sh_flags & SHF_COMPRESSED))
		return false;
	for (scn = NULL; (scn = elf_nextscn(elf, scn));) {
		const char *name = gelf_getshdr(scn, &shdr) ? elf_strptr(elf, names, shdr.sh_name) : NULL;

		if ((shdr.sh_type == SHT_NOTE || (name && !strcmp(name, ".gnu_debuglink"))) &&
		    shdr.sh_size > SMALL_MAX_BYTES)
			return false;
	}
	return true;
}

Elf *elf_begin_file(int fd, bool by_mmap)
{
	union elf_header h = {};
	Elf *elf;

	elf_version(EV_CURRENT);
	if (pread(fd, &h, sizeof(h), 0) < (ssize_t)sizeof(h.e32) || !is_sound(&h))
		return NULL;
	elf = elf_begin(fd, by_mmap ? ELF_C_READ_MMAP : ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF || !is_modest(elf)) {
		elf_end(elf);
		return NULL;
	}
	return elf;
}

int elf_open_mapped(int procfd, pid_t pid, const char *name, struct uffdctl_range range, char **file_name)
{
	_cleanup_free_ char *rooted = NULL;
	struct stat st, here;
	char path[64];
	int fd;

	if (asprintf(&rooted, "root%s", name) < 0)
		return -1;
	snprintf(path, sizeof(path), "map_files/%" PRIx64 "-%" PRIx64, range.start, range.end);
	fd = elf_open_regular(procfd, path, 0);
	if (fd < 0)
		fd = elf_open_regular(procfd, rooted, 0);
	if (fd < 0)
		return -1;
	/* The debug file is looked for beside this name and under /usr/lib/debug. */
	if (fstat(fd, &st) == 0 && stat(name, &here) == 0 && st.st_ino == here.st_ino && st.st_dev == here.st_dev)
		*file_name = strdup(name);
	else if (asprintf(file_name, "/proc/%d/%s", pid, rooted) < 0)
		*file_name = NULL;
	return fd;
}

static int find_elf(Dwfl_Module *mod, void **userdata, const char *modname, Dwarf_Addr base, char **file_name,
		    Elf **elfp)
{
	struct uffdctl_target *t = current->t;
	const struct uffdctl_vma *v = uffdctl_maps_get(current->maps, maps_find(current->maps, base));

	(void)mod, (void)userdata, (void)elfp;
	if (modname[0] != '/' || !v || v->range.start > base || !v->inode)
		return -1;
	return elf_open_mapped(t->procfd, t->pid, modname, v->range, file_name);
}

/* ---- debug files ---- */

#define CRC_MAX_BYTES (INT64_C(2) << 30) /* a target may make a file as long as it likes */

/* The CRC of .gnu_debuglink: that of zlib and IEEE 802.3. */
static int file_crc(int fd, uint32_t *ret)
{
	uint32_t table[256], crc = ~0u;
	uint8_t buf[65536];
	struct stat st;
	off_t at = 0;
	ssize_t n = 0;

	if (fstat(fd, &st) < 0 || st.st_size > CRC_MAX_BYTES)
		return -EFBIG;
	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
	}
	for (; at < st.st_size && (n = pread(fd, buf, sizeof(buf), at)) > 0; at += n)
		for (ssize_t i = 0; i < n; i++)
			crc = table[(crc ^ buf[i]) & 0xff] ^ crc >> 8;
	if (n < 0)
		return -errno;
	*ret = ~crc;
	return 0;
}

/* The file, if it is the one: by build-id where there is one, else by its CRC. */
static int try_debug_file(const char *path, const unsigned char *id, int id_len, GElf_Word want_crc)
{
	_cleanup_close_ int fd = elf_open_regular(AT_FDCWD, path, 0);
	const void *found;
	uint32_t crc;
	bool same;
	Elf *elf;

	if (fd < 0)
		return -1;
	if (id_len <= 0)
		return file_crc(fd, &crc) == 0 && crc == want_crc ? steal_fd(fd) : -1;
	elf = elf_begin_file(fd, false);
	same = elf && dwelf_elf_gnu_build_id(elf, &found) == id_len && !memcmp(found, id, id_len);
	elf_end(elf);
	return same ? steal_fd(fd) : -1;
}

static char *build_id_path(const unsigned char *id, int len)
{
	char *path = NULL;
	size_t size;
	FILE *f = open_memstream(&path, &size);

	if (!f)
		return NULL;
	fprintf(f, "/usr/lib/debug/.build-id/%02x/", id[0]);
	for (int i = 1; i < len; i++)
		fprintf(f, "%02x", id[i]);
	fputs(".debug", f);
	return fclose(f) ? free(path), NULL : path;
}

int elf_open_debug(const unsigned char *id, int id_len, const char *file, const char *link, uint32_t crc, char **ret)
{
	static const char *const formats[] = { "%.*s%s", "%.*s.debug/%s", "/usr/lib/debug%.*s%s" };
	int dir_len = file ? (int)(base_name(file) - file) : 0;
	int fd = -1;

	if (id_len > 1) {
		*ret = build_id_path(id, id_len);
		fd = *ret ? try_debug_file(*ret, id, id_len, 0) : -1;
	}
	if (!link || strchr(link, '/') || !file)
		return fd;
	for (size_t i = 0; fd < 0 && i < ARRAY_SIZE(formats); i++) {
		free(*ret);
		if (asprintf(ret, formats[i], dir_len, file, link) < 0)
			*ret = NULL;
		fd = *ret ? try_debug_file(*ret, id, id_len, crc) : -1;
	}
	return fd;
}

static int find_debuginfo(Dwfl_Module *mod, void **userdata, const char *modname, GElf_Addr base, const char *file,
			  const char *link, GElf_Word crc, char **ret)
{
	const unsigned char *id;
	GElf_Addr vaddr;
	int id_len = dwfl_module_build_id(mod, &id, &vaddr);

	(void)userdata, (void)modname, (void)base;
	return elf_open_debug(id, id_len, file, link, crc, ret);
}

/* ---- symbols ---- */

static Elf_Scn *section_of_type(Elf *elf, GElf_Word type, GElf_Shdr *shdr)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, shdr) && shdr->sh_type == type)
			return scn;
	return NULL;
}

static bool has_soname(Elf *elf, const char *name)
{
	GElf_Shdr shdr;
	Elf_Scn *scn = section_of_type(elf, SHT_DYNAMIC, &shdr);
	Elf_Data *data = scn ? elf_getdata(scn, NULL) : NULL;
	GElf_Dyn dyn;

	for (int i = 0; data && gelf_getdyn(data, i, &dyn) && dyn.d_tag != DT_NULL; i++) {
		const char *s = dyn.d_tag == DT_SONAME ? elf_strptr(elf, shdr.sh_link, dyn.d_un.d_val) : NULL;

		if (s)
			return !strcmp(s, name);
	}
	return false;
}

/* The name of version number ndx, from the definitions (.gnu.version_d). */
static const char *version_name(Elf *elf, GElf_Half ndx)
{
	GElf_Shdr shdr;
	Elf_Scn *scn = section_of_type(elf, SHT_GNU_verdef, &shdr);
	Elf_Data *data = scn ? elf_getdata(scn, NULL) : NULL;
	size_t offset = 0;
	GElf_Verdef def;
	GElf_Verdaux aux;

	for (size_t i = 0; data && i < shdr.sh_info && gelf_getverdef(data, offset, &def); i++) {
		if (def.vd_ndx == ndx && gelf_getverdaux(data, offset + def.vd_aux, &aux))
			return elf_strptr(elf, shdr.sh_link, aux.vda_name);
		if (!def.vd_next)
			break;
		offset += def.vd_next;
	}
	return NULL;
}

/* "@@V1", "@V1" or "" for a symbol without version; of the dynamic symbol with this name and value. */
static void version_suffix(Elf *elf, const char *name, GElf_Addr value, char *buf, size_t size)
{
	GElf_Shdr shdr, ver_shdr;
	Elf_Scn *scn = section_of_type(elf, SHT_DYNSYM, &shdr), *ver = section_of_type(elf, SHT_GNU_versym, &ver_shdr);
	Elf_Data *syms = scn ? elf_getdata(scn, NULL) : NULL, *versyms = ver ? elf_getdata(ver, NULL) : NULL;
	GElf_Versym v;
	GElf_Sym sym;

	buf[0] = '\0';
	for (int i = 1; syms && versyms && gelf_getsym(syms, i, &sym); i++) {
		const char *s = sym.st_value == value ? elf_strptr(elf, shdr.sh_link, sym.st_name) : NULL;
		const char *version;

		if (!s || strcmp(s, name) || !gelf_getversym(versyms, i, &v) || (v & 0x7fff) < 2)
			continue;
		version = version_name(elf, v & 0x7fff);
		if (version)
			snprintf(buf, size, "%s%s", v & 0x8000 ? "@" : "@@", version);
		return;
	}
}

/* "arena" is any version of it; "arena@V1" and "arena@@V1" are one. */
static bool symbol_matches(const char *name, const char *wanted)
{
	const char *at = strchr(name, '@'), *want_at = strchr(wanted, '@');
	size_t len = at ? (size_t)(at - name) : strlen(name);

	if (!want_at)
		return strlen(wanted) == len && !memcmp(name, wanted, len);
	return at && len == (size_t)(want_at - wanted) && !memcmp(name, wanted, len) &&
	       !strcmp(at + strspn(at, "@"), want_at + strspn(want_at, "@"));
}

static bool is_object(const GElf_Sym *sym, GElf_Word shndx)
{
	int type = GELF_ST_TYPE(sym->st_info);

	return shndx != SHN_UNDEF && sym->st_size && (type == STT_OBJECT || type == STT_COMMON || type == STT_NOTYPE);
}

static int add_object(struct search *s, const char *module, const char *name, GElf_Addr addr, uint64_t size)
{
	_cleanup_free_ char *text = NULL;
	struct object *o;
	uint64_t end;

	if (__builtin_add_overflow(addr, size, &end))
		return 0;
	/* .symtab and .dynsym both have it. */
	for (size_t i = 0; i < s->nr; i++)
		if (s->objects[i].range.start == addr && s->objects[i].range.end == end)
			return 0;
	if (asprintf(&text, "%s:%s", base_name(module), name) < 0)
		return -ENOMEM;
	o = vec_add(s->objects, s->nr, s->alloc);
	if (!o)
		return -ENOMEM;
	*o = (struct object){ { addr, end }, escaped(text) };
	return 0;
}

static int search_module(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base, void *arg)
{
	struct search *s = arg;
	GElf_Addr bias, addr;
	Elf *elf = dwfl_module_getelf(mod, &bias);
	char full[512], version[256];
	int nr;

	(void)userdata, (void)base;
	if (!elf || (s->module && strcmp(base_name(name), s->module) && !has_soname(elf, s->module)))
		return DWARF_CB_OK;
	s->module_seen = true;
	nr = dwfl_module_getsymtab(mod);
	for (int i = 1; i < nr; i++) {
		GElf_Word shndx;
		GElf_Sym sym;
		const char *sname = dwfl_module_getsym_info(mod, i, &sym, &addr, &shndx, NULL, NULL);

		if (!sname || strncmp(sname, s->symbol, strcspn(s->symbol, "@")) || !is_object(&sym, shndx))
			continue;
		version[0] = '\0';
		if (!strchr(sname, '@'))
			version_suffix(elf, sname, sym.st_value, version, sizeof(version));
		snprintf(full, sizeof(full), "%s%s", sname, version);
		if (symbol_matches(full, s->symbol) && add_object(s, name, full, addr, sym.st_size) < 0)
			return DWARF_CB_ABORT;
	}
	return DWARF_CB_OK;
}

static int report(struct search *s, struct uffdctl_range *ret)
{
	struct uffdctl *u = s->t->u;
	_cleanup_free_ char *module = s->module ? escaped(s->module) : NULL, *symbol = escaped(s->symbol), *list = NULL;
	size_t size;
	FILE *f;

	if (s->module && !s->module_seen)
		return fail(u, -ENOENT,
			    "%d: no mapped ELF file is named %s, or none that can be read (a mapping's name is written @%s:%s)",
			    s->t->pid, module, module, symbol);
	if (!s->nr)
		return fail(u, -ENOENT, "%d: no data object %s in %s (stripped? install its debug file)", s->t->pid,
			    symbol, module ? module : "the mapped ELF files");
	if (s->nr == 1) {
		*ret = s->objects[0].range;
		return 0;
	}
	f = open_memstream(&list, &size);
	if (!f)
		return -ENOMEM;
	for (size_t i = 0; i < s->nr; i++)
		fprintf(f, "%s %s (%" PRIx64 "+%" PRIu64 ")", i ? "," : "", s->objects[i].label,
			s->objects[i].range.start, range_len(s->objects[i].range));
	fclose(f);
	return fail(u, -ENOTUNIQ, "%d: :%s is ambiguous:%s: write one of these, or its address", s->t->pid, symbol,
		    list);
}

int elf_find_object(struct uffdctl_target *t, const struct uffdctl_maps *maps, const char *module, const char *symbol,
		    struct uffdctl_range *ret)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = find_elf,
		.find_debuginfo = find_debuginfo,
	};
	struct search s = { .t = t, .maps = maps, .module = module, .symbol = symbol };
	Dwfl *dwfl = dwfl_begin(&callbacks);
	int r;

	if (!dwfl)
		return -ENOMEM;
	current = &s;
	r = dwfl_linux_proc_report(dwfl, t->pid);
	dwfl_report_end(dwfl, NULL, NULL);
	if (r == 0 && dwfl_getmodules(dwfl, search_module, &s, 0) < 0)
		r = -ENOMEM;
	if (r > 0)
		r = -r;
	if (r < 0)
		r = fail(t->u, -EIO, "%d: reading its ELF files: %s", t->pid, r == -1 ? dwfl_errmsg(-1) : strerror(-r));
	if (r >= 0)
		r = target_check(t);
	if (r >= 0)
		r = report(&s, ret);
	current = NULL;
	dwfl_end(dwfl);
	for (size_t i = 0; i < s.nr; i++)
		free(s.objects[i].label);
	free(s.objects);
	return r;
}
