// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The data objects of one ELF file that have a given name.
 *
 * libelf would read whole tables into memory, and decompress what looks compressed, whatever its size. So it is used
 * only for headers. We search the string table for the name first, and then the symbols for the places found.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/symbols/elf_symbols.h"
#include "lib/util.h"

#define PIECE_BYTES ((size_t)1 << 18)
#define SYMBOLS_MAX (UINT64_C(1) << 24)	      /* Chromium has 2 million */
#define STRINGS_MAX_BYTES (UINT64_C(1) << 31) /* of a symbol table */
#define PLACES_MAX ((size_t)1 << 20)	      /* places of the name in the string table */
#define FOUND_MAX 1024			      /* symbols of one name in a file */
#define VERDEF_MAX_BYTES (UINT64_C(1) << 20)

/* A table and its strings. */
struct table {
	GElf_Shdr shdr, strings;
};

struct found {
	GElf_Sym sym;
	uint64_t index;
	char name[ELF_NAME_MAX];
};

/* Offsets in a string table at which a name begins, ascending. */
struct places {
	uint32_t *at;
	size_t nr, alloc;
};

struct founds {
	struct found *found;
	size_t nr, alloc;
};

/* ---- reading ---- */

/* Read as many of the bytes as there are. */
static size_t read_at(const struct elf_source *s, uint64_t at, void *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	if (s->fd < 0) {
		len = at < s->size ? MIN(len, (size_t)(s->size - at)) : 0;
		memcpy(buf, s->image + (len ? at : 0), len);
		return len;
	}
	for (; done < len && at + done <= INT64_MAX; done += n) {
		n = pread(s->fd, (char *)buf + done, len - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			break;
	}
	return done;
}

static bool find_section(Elf *elf, GElf_Word type, GElf_Shdr *ret)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, ret) && ret->sh_type == type)
			return !(ret->sh_flags & SHF_COMPRESSED) && ret->sh_offset <= INT64_MAX;
	return false;
}

/* Find a section of this type and its string table; neither may be compressed. */
static bool find_table(Elf *elf, GElf_Word type, struct table *ret)
{
	Elf_Scn *scn;

	if (!find_section(elf, type, &ret->shdr))
		return false;
	scn = elf_getscn(elf, ret->shdr.sh_link);
	return scn && gelf_getshdr(scn, &ret->strings) && ret->strings.sh_type == SHT_STRTAB &&
	       !(ret->strings.sh_flags & SHF_COMPRESSED) && ret->strings.sh_offset <= INT64_MAX;
}

bool elf_has_table(Elf *elf, GElf_Word type)
{
	struct table t;

	return find_table(elf, type, &t);
}

/* Read a string, NUL-terminated and cut off; "" past the end. */
static void read_name(const struct elf_source *s, const GElf_Shdr *strings, uint64_t offset, char *buf, size_t size)
{
	size_t len = offset < strings->sh_size ? MIN((uint64_t)size - 1, strings->sh_size - offset) : 0;

	buf[len ? read_at(s, strings->sh_offset + offset, buf, len) : 0] = '\0';
}

static bool is_64(const struct elf_source *s)
{
	return gelf_getclass(s->elf) == ELFCLASS64;
}

/* Decode a symbol from bytes in our byte order. */
static void sym_from(const void *raw, bool wide, GElf_Sym *ret)
{
	Elf32_Sym narrow;

	if (wide) {
		memcpy(ret, raw, sizeof(*ret));
		return;
	}
	memcpy(&narrow, raw, sizeof(narrow));
	*ret = (GElf_Sym){
		.st_name = narrow.st_name,
		.st_info = narrow.st_info,
		.st_other = narrow.st_other,
		.st_shndx = narrow.st_shndx,
		.st_value = narrow.st_value,
		.st_size = narrow.st_size,
	};
}

static void dyn_from(const void *raw, bool wide, GElf_Dyn *ret)
{
	Elf32_Dyn narrow;

	if (wide) {
		memcpy(ret, raw, sizeof(*ret));
		return;
	}
	memcpy(&narrow, raw, sizeof(narrow));
	ret->d_tag = narrow.d_tag;
	ret->d_un.d_val = narrow.d_un.d_val;
}

/* ---- names ---- */

bool elf_has_soname(const struct elf_source *s, const char *name)
{
	struct table t;
	bool wide = is_64(s);
	size_t size = wide ? sizeof(Elf64_Dyn) : sizeof(Elf32_Dyn);
	char raw[sizeof(Elf64_Dyn)], soname[ELF_NAME_MAX];
	GElf_Dyn dyn;

	if (!find_table(s->elf, SHT_DYNAMIC, &t))
		return false;
	/* Some forty entries are usual. */
	for (uint64_t i = 0; i < 4096 && (i + 1) * size <= t.shdr.sh_size; i++) {
		if (read_at(s, t.shdr.sh_offset + i * size, raw, size) != size)
			return false;
		dyn_from(raw, wide, &dyn);
		if (dyn.d_tag == DT_NULL)
			return false;
		if (dyn.d_tag != DT_SONAME)
			continue;
		read_name(s, &t.strings, dyn.d_un.d_val, soname, sizeof(soname));
		return !strcmp(soname, name);
	}
	return false;
}

bool elf_symbol_matches(const char *name, const char *wanted)
{
	const char *at = strchr(name, '@'), *want_at = strchr(wanted, '@');
	size_t len = at ? (size_t)(at - name) : strlen(name);

	if (!want_at)
		return strlen(wanted) == len && !memcmp(name, wanted, len);
	return at && len == (size_t)(want_at - wanted) && !memcmp(name, wanted, len) &&
	       !strcmp(at + strspn(at, "@"), want_at + strspn(want_at, "@"));
}

static int add_places(struct places *p, uint64_t base, const char *buf, size_t len, const char *name, size_t name_len)
{
	const char *end = buf + len;
	uint32_t *added;

	for (const char *at = buf; (at = memmem(at, end - at, name, name_len)) && at + name_len < end; at++) {
		if (at[name_len] && at[name_len] != '@')
			continue;
		if (p->nr == PLACES_MAX)
			return -E2BIG;
		added = vec_add(p->at, p->nr, p->alloc);
		if (!added)
			return -ENOMEM;
		*added = base + (at - buf);
	}
	return 0;
}

/* A string table may use the end of a longer name for another name. */
static int find_places(const struct elf_source *s, const GElf_Shdr *strings, const char *name, size_t name_len,
		       struct places *p)
{
	_cleanup_free_ char *buf = NULL;
	uint64_t size = strings->sh_size, at = 0;
	size_t n;
	int r = 0;

	if (!name_len || name_len >= ELF_NAME_MAX)
		return 0;
	if (size > STRINGS_MAX_BYTES)
		return -E2BIG;
	buf = malloc(PIECE_BYTES);
	if (!buf)
		return -ENOMEM;
	while (r == 0 && at < size) {
		n = read_at(s, strings->sh_offset + at, buf, MIN((uint64_t)PIECE_BYTES, size - at));
		r = add_places(p, at, buf, n, name, name_len);
		/* A name across the border is found in the next piece. */
		if (n <= name_len || at + n >= size)
			break;
		at += n - name_len;
	}
	return r;
}

static int cmp_place(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* ---- symbols ---- */

static bool is_object(const GElf_Sym *sym)
{
	int type = GELF_ST_TYPE(sym->st_info);

	return sym->st_shndx != SHN_UNDEF && sym->st_size &&
	       (type == STT_OBJECT || type == STT_COMMON || type == STT_NOTYPE);
}

static int add_found(const struct elf_source *s, const struct table *t, const GElf_Sym *sym, uint64_t index,
		     struct founds *ret)
{
	struct found *f = ret->nr < FOUND_MAX ? vec_add(ret->found, ret->nr, ret->alloc) : NULL;

	if (!f)
		return ret->nr < FOUND_MAX ? -ENOMEM : -E2BIG;
	f->sym = *sym;
	f->index = index;
	read_name(s, &t->strings, sym->st_name, f->name, sizeof(f->name));
	return 0;
}

static int scan_symbols(const struct elf_source *s, const struct table *t, const struct places *p, struct founds *ret)
{
	bool wide = is_64(s);
	size_t size = wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym), n = 0;
	uint64_t nr = t->shdr.sh_entsize == size ? t->shdr.sh_size / size : 0;
	_cleanup_free_ char *buf = NULL;
	GElf_Sym sym;
	int r = 0;

	if (nr > SYMBOLS_MAX)
		return -E2BIG;
	buf = malloc(PIECE_BYTES);
	if (!buf)
		return -ENOMEM;
	/* The first one is unused. */
	for (uint64_t i = 1; r == 0 && i < nr; i += n) {
		n = read_at(s, t->shdr.sh_offset + i * size, buf, MIN(nr - i, (uint64_t)(PIECE_BYTES / size)) * size);
		n /= size;
		if (!n)
			break;
		for (size_t k = 0; r == 0 && k < n; k++) {
			sym_from(buf + k * size, wide, &sym);
			if (is_object(&sym) && bsearch(&sym.st_name, p->at, p->nr, sizeof(*p->at), cmp_place))
				r = add_found(s, t, &sym, i + k, ret);
		}
	}
	return r;
}

/* Take symbols whose name matches up to the version. */
static int find_named(const struct elf_source *s, const struct table *t, const char *symbol, struct founds *ret)
{
	struct places p = {};
	int r = find_places(s, &t->strings, symbol, strcspn(symbol, "@"), &p);

	if (r == 0 && p.nr)
		r = scan_symbols(s, t, &p, ret);
	free(p.at);
	return r;
}

/* ---- versions ---- */

/* The name of version number ndx, from the definitions (.gnu.version_d), which have the same format in both classes. */
static void version_name(const struct elf_source *s, uint16_t ndx, char *buf, size_t size)
{
	uint64_t offset = 0;
	Elf64_Verdef def;
	Elf64_Verdaux aux;
	struct table t;

	buf[0] = '\0';
	if (!find_table(s->elf, SHT_GNU_verdef, &t) || t.shdr.sh_size > VERDEF_MAX_BYTES)
		return;
	for (uint64_t i = 0; i < t.shdr.sh_info && offset + sizeof(def) <= t.shdr.sh_size; i++) {
		if (read_at(s, t.shdr.sh_offset + offset, &def, sizeof(def)) != sizeof(def))
			return;
		if (def.vd_ndx == ndx) {
			if (offset + def.vd_aux + sizeof(aux) <= t.shdr.sh_size &&
			    read_at(s, t.shdr.sh_offset + offset + def.vd_aux, &aux, sizeof(aux)) == sizeof(aux))
				read_name(s, &t.strings, aux.vda_name, buf, size);
			return;
		}
		if (!def.vd_next)
			return;
		offset += def.vd_next;
	}
}

/* "@@V1", "@V1" or "" for a symbol without version; of the dynamic symbol with this name and value. */
static void version_suffix(const struct elf_source *s, const struct founds *dynamic, const struct found *f, char *buf,
			   size_t size)
{
	char version[ELF_NAME_MAX - 4]; /* with @@ before it there is room too */
	GElf_Shdr versym;
	uint16_t v;

	buf[0] = '\0';
	for (size_t i = 0; i < dynamic->nr; i++) {
		const struct found *d = &dynamic->found[i];

		if (d->sym.st_value != f->sym.st_value || strcmp(d->name, f->name))
			continue;
		if (!find_section(s->elf, SHT_GNU_versym, &versym) || (d->index + 1) * sizeof(v) > versym.sh_size ||
		    read_at(s, versym.sh_offset + d->index * sizeof(v), &v, sizeof(v)) != sizeof(v) || (v & 0x7fff) < 2)
			continue;
		version_name(s, v & 0x7fff, version, sizeof(version));
		if (*version)
			snprintf(buf, size, "%s%s", v & 0x8000 ? "@" : "@@", version);
		return;
	}
}

int elf_find_objects(const struct elf_source *s, GElf_Word type, const struct elf_source *versions, const char *symbol,
		     elf_object_fn fn, void *arg)
{
	char full[2 * ELF_NAME_MAX], version[ELF_NAME_MAX];
	struct founds founds = {}, dynamic = {};
	struct table t, dynsym;
	int r;

	if (!find_table(s->elf, type, &t))
		return 0;
	r = find_named(s, &t, symbol, &founds);
	if (r == 0 && founds.nr && find_table(versions->elf, SHT_DYNSYM, &dynsym))
		r = find_named(versions, &dynsym, symbol, &dynamic);
	for (size_t i = 0; r == 0 && i < founds.nr; i++) {
		const struct found *f = &founds.found[i];

		version[0] = '\0';
		if (!strchr(f->name, '@'))
			version_suffix(versions, &dynamic, f, version, sizeof(version));
		snprintf(full, sizeof(full), "%s%s", f->name, version);
		if (elf_symbol_matches(full, symbol))
			r = fn(full, &f->sym, arg);
	}
	free(founds.found);
	free(dynamic.found);
	return r;
}
