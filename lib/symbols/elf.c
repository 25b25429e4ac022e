// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Data objects of a running process's ELF files.
 *
 * A child of ours reads them (child.h), one file after the other, and says what it finds. Where one does not
 * answer or brings the child to its end, another child goes on behind it.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <elfutils/libdwelf.h>
#include <gelf.h>

#include "lib/kernel/kind.h"
#include "lib/log.h"
#include "lib/symbols/child.h"
#include "lib/symbols/elf.h"
#include "lib/symbols/elf_file.h"
#include "lib/symbols/elf_symbols.h"
#include "lib/util.h"

#define CHILD_MAX_BYTES (UINT64_C(256) << 20)
#define DEBUGDATA_MAX_BYTES (UINT64_C(32) << 20)
#define OBJECTS_MAX 256

/* A file where it is loaded: the first and the last of its mappings. */
struct module {
	size_t first, last;
	int err; /* why it was not searched */
};

struct object {
	struct uffdctl_range range;
	char *label; /* "libfoo.so.1:arena@@V1", escaped */
};

struct search {
	struct uffdctl_target *t;
	const struct uffdctl_vma *vmas;
	size_t nr_vmas;
	const char *module_name, *symbol;
	struct module *modules;
	size_t nr_modules, modules_alloc;
	sigset_t mask; /* of signals, as it was */
	size_t next; /* module to go on with */
	struct object *objects;
	size_t nr, alloc;
	bool module_seen;
};

enum message_kind {
	FOUND,	     /* an object */
	NAMED,	     /* a file of the name that is sought */
	NOT_READ,    /* a file that takes more than is allowed */
	ALL_SEARCHED /* the end */
};

/* From the child. */
struct message {
	enum message_kind kind;
	int err;
	size_t module;
	struct uffdctl_range range;
	char name[2 * ELF_NAME_MAX];
};

/* ---- in the child ---- */

/* The file that is searched just now. */
struct loaded {
	const struct search *search;
	const struct module *module;
	const char *path;
	Elf *elf;
	uint64_t bias;
	int sock;
	size_t nr;
};

static void say(int sock, const struct message *m)
{
	if (send(sock, m, sizeof(*m), MSG_NOSIGNAL) < 0)
		_exit(0);
}

static const struct uffdctl_vma *vma_of(const struct search *s, const struct module *m)
{
	return &s->vmas[m->first];
}

static bool is_part(const struct uffdctl_vma *v, const struct uffdctl_vma *w)
{
	return v->inode && v->inode == w->inode && v->dev_major == w->dev_major && v->dev_minor == w->dev_minor;
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

/* By how much addresses differ from those in the file, by the segment that the first mapping shows. */
static bool find_bias(struct loaded *l)
{
	const struct uffdctl_vma *v = vma_of(l->search, l->module);
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

static const struct uffdctl_vma *vma_at(const struct search *s, uint64_t addr)
{
	for (size_t i = 0; i < s->nr_vmas && s->vmas[i].range.start <= addr; i++)
		if (addr < s->vmas[i].range.end)
			return &s->vmas[i];
	return NULL;
}

/* What lies there may be another file, or this one as it is not loaded but read: then it is no such object. */
static bool is_loaded_at(const struct loaded *l, uint64_t vaddr, uint64_t addr)
{
	const struct uffdctl_vma *v = vma_at(l->search, addr);
	GElf_Phdr ph;

	if (!v || !find_segment(l->elf, vaddr, &ph))
		return false;
	if (is_part(v, vma_of(l->search, l->module)))
		return v->offset + (addr - v->range.start) == ph.p_offset + (vaddr - ph.p_vaddr);
	/* .bss, or what the program has mapped over its object. */
	return true;
}

static int found_object(const char *name, const GElf_Sym *sym, void *arg)
{
	struct loaded *l = arg;
	struct message m = { .kind = FOUND, .module = l->module - l->search->modules };

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

/* .gnu_debugdata: another ELF file within, compressed (MiniDebugInfo). What it unpacks to our memory's bound limits. */
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

/* The symbols of its debug file, else those for the dynamic linker and what .gnu_debugdata adds to them. */
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
	const struct search *search = l->search;
	struct message named = { .kind = NAMED };

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

/* The name without the mark of an unlinked file. */
static char *plain_name(const char *name)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(name), suffix = sizeof(deleted) - 1;

	return strndup(name, len > suffix && !strcmp(name + len - suffix, deleted) ? len - suffix : len);
}

static void search_module(const struct search *s, const struct module *m, int sock)
{
	const struct uffdctl_vma *v = vma_of(s, m);
	_cleanup_free_ char *path = NULL, *name = plain_name(v->name);
	_cleanup_close_ int fd = elf_open_mapped(s->t->procfd, s->t->tid, v->name, v->range, &path);
	struct message not_read = { .kind = NOT_READ, .module = m - s->modules };
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

static void search_all(int sock, void *arg)
{
	const struct search *s = arg;
	struct message end = { .kind = ALL_SEARCHED };

	for (size_t i = s->next; i < s->nr_modules; i++) {
		child_mark(i);
		if (!s->modules[i].err)
			search_module(s, &s->modules[i], sock);
	}
	say(sock, &end);
}

/* ---- around it ---- */

/* The module that a mapping continues: a file may be loaded twice, and others may be mapped over parts of it. */
static struct module *module_before(const struct search *s, const struct uffdctl_vma *v)
{
	const struct uffdctl_vma *vmas = s->vmas;

	for (size_t i = s->nr_modules; i-- > 0 && i + 8 >= s->nr_modules;) {
		struct module *m = &s->modules[i];

		if (is_part(v, &vmas[m->first]))
			return v->offset >= vmas[m->last].offset ? m : NULL;
	}
	return NULL;
}

static int find_modules(struct search *s)
{
	for (size_t i = 0; i < s->nr_vmas; i++) {
		const struct uffdctl_vma *v = &s->vmas[i];
		struct module *m;

		if (!v->inode || !v->name || *v->name != '/' || v->kind == VMA_HUGETLB)
			continue;
		m = module_before(s, v);
		if (m) {
			m->last = i;
			continue;
		}
		m = vec_add(s->modules, s->nr_modules, s->modules_alloc);
		if (!m)
			return -ENOMEM;
		*m = (struct module){ .first = i, .last = i };
	}
	return 0;
}

static int add_object(struct search *s, const struct message *m)
{
	_cleanup_free_ char *text = NULL, *name = plain_name(vma_of(s, &s->modules[m->module])->name);
	struct object *o;

	/* .symtab and .dynsym both have it. */
	for (size_t i = 0; i < s->nr; i++)
		if (s->objects[i].range.start == m->range.start && s->objects[i].range.end == m->range.end)
			return 0;
	if (!name || asprintf(&text, "%s:%s", elf_base_name(name), m->name) < 0)
		return -ENOMEM;
	o = vec_add(s->objects, s->nr, s->alloc);
	if (!o)
		return -ENOMEM;
	*o = (struct object){ m->range, escaped(text) };
	return 0;
}

/* 1: that was all. */
static int take(struct search *s, struct message *m)
{
	if (m->module >= s->nr_modules)
		return -EPIPE;
	m->name[sizeof(m->name) - 1] = '\0';
	switch (m->kind) {
	case FOUND:
		return add_object(s, m);
	case NAMED:
		s->module_seen = true;
		return 0;
	case NOT_READ:
		s->modules[m->module].err = m->err;
		return 0;
	default:
		return 1;
	}
}

/* What lies on the same device does not answer either. */
static void mark_unread(struct search *s, size_t module, int err)
{
	const struct uffdctl_vma *v = vma_of(s, &s->modules[module]);

	s->modules[module].err = err;
	for (size_t i = module + 1; err == -ETIMEDOUT && i < s->nr_modules; i++) {
		const struct uffdctl_vma *w = vma_of(s, &s->modules[i]);

		if (w->dev_major == v->dev_major && w->dev_minor == v->dev_minor)
			s->modules[i].err = err;
	}
}

/* One child's work. 0: there is more to do, for another one. */
static int search_some(struct search *s)
{
	struct message m;
	struct child c;
	size_t len, at;
	int r = child_start(&c, &s->t->procfd, 1, CHILD_MAX_BYTES, search_all, s);

	if (r < 0)
		return fail(s->t->u, r, "%d: a process to read its ELF files: %s", s->t->pid, strerror(-r));
	while (r == 0) {
		r = child_receive(&c, &s->mask, &m, sizeof(m), &len);
		if (r == 0)
			r = len == sizeof(m) ? take(s, &m) : -EPIPE;
	}
	at = MIN((size_t)child_at(&c), s->nr_modules - 1);
	child_stop(&c);
	if (r != -ETIMEDOUT && r != -EPIPE)
		return r;
	mark_unread(s, at, r);
	s->next = at + 1;
	return 0;
}

static const char *why_unread(int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return "its file system does not answer";
	case -EPIPE:
		return "the process that read it was killed";
	case -E2BIG:
		return "it has more symbols than are taken";
	default:
		return strerror(-err);
	}
}

static void warn_unread(const struct search *s)
{
	const char *last = NULL;

	for (size_t i = 0; i < s->nr_modules; i++) {
		const struct uffdctl_vma *v = vma_of(s, &s->modules[i]);
		_cleanup_free_ char *name = s->modules[i].err ? escaped(v->name) : NULL;

		if (!name || (last && !strcmp(last, v->name)))
			continue;
		log_warning(s->t->u, "%d: %s was not searched for %s: %s", s->t->pid, name, s->symbol,
			    why_unread(s->modules[i].err));
		last = v->name;
	}
}

static int report(struct search *s, struct uffdctl_range *ret)
{
	struct uffdctl *u = s->t->u;
	_cleanup_free_ char *module = s->module_name ? escaped(s->module_name) : NULL, *symbol = escaped(s->symbol),
			    *list = NULL;
	size_t size;
	FILE *f;

	if (s->module_name && !s->module_seen)
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

/* Until a wait for the child lets them in: between two waits one would be lost. */
static void hold_signals(sigset_t *old)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &held, old);
}

int elf_find_object(struct uffdctl_target *t, const struct uffdctl_vma *vmas, size_t nr_vmas, const char *module,
		    const char *symbol, struct uffdctl_range *ret)
{
	struct search s = { .t = t, .vmas = vmas, .nr_vmas = nr_vmas, .module_name = module, .symbol = symbol };
	int r = find_modules(&s);

	hold_signals(&s.mask);
	while (r == 0 && s.next < s.nr_modules)
		r = search_some(&s);
	pthread_sigmask(SIG_SETMASK, &s.mask, NULL);
	if (r == -EINTR)
		r = fail(t->u, r, "%d: interrupted while its ELF files were read: nothing was changed", t->pid);
	if (r == -ENOMEM)
		log_oom(t->u);
	if (r >= 0)
		r = target_check(t);
	if (r >= 0) {
		warn_unread(&s);
		r = report(&s, ret);
	}
	for (size_t i = 0; i < s.nr; i++)
		free(s.objects[i].label);
	free(s.objects);
	free(s.modules);
	return r;
}
