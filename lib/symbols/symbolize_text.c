// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The text for the address of an instruction, looked up in a child (child.h), since files of a target are opened and
 * read for it. After one file did not answer, or has ended the child, no file of that device is accessed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "lib/kernel/proc.h"
#include "lib/kernel/target.h"
#include "lib/log.h"
#include "lib/symbols/child.h"
#include "lib/symbols/elf_file.h"
#include "lib/symbols/perfmap.h"
#include "lib/symbols/symbolize_elf.h"
#include "lib/symbols/symbolize_text.h"
#include "lib/util.h"
#include "lib/vma.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
/* How often to look again: libraries come and go. */
#define MAPS_NS NS_PER_S
#define MAPS_MISS_NS (100 * NS_PER_MS)

#define VDSO_MAX_BYTES (UINT64_C(1) << 18)
#define CODE_BUDGET_BYTES (UINT64_C(1) << 29)
#define PERFMAP_BUDGET_BYTES (UINT64_C(1) << 28)

/* An executable mapping. */
struct mapping {
	struct uffdctl_range range;
	uint64_t offset;
	uint32_t dev_major, dev_minor;
	const char *name;
	bool is_file;
	uint64_t module; /* its id, after it was looked up */
};

struct process {
	uint64_t serial;
	struct uffdctl_target *t;
	int err; /* why there is no t */
	uint64_t maps_ns;
	struct mapping *maps;
	size_t nr_maps, maps_alloc;
	struct strpool names;
	struct perfmap perfmap;
	uint32_t nspid;
};

/* An ELF file, shared by all processes that map it. */
struct module {
	uint64_t id, used;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
	struct code *code; /* NULL: is none */
};

struct texts {
	const struct texts_opts *opts;
	struct uffdctl u; /* without a log: the parent opens each process, too */
	struct process *processes;
	struct module *modules;
	size_t nr_processes, nr_modules;
	uint64_t last_module, module_tick;
};

/* ---- what does not answer ---- */

/* A mark is a device of mapped files, or the perf map of a process. */
#define MARK_FILE (UINT64_C(1) << 62)
#define MARK_PERFMAP (UINT64_C(2) << 62)

static bool is_bad(const struct texts *s, uint64_t mark)
{
	for (size_t i = 0; i < TEXTS_MAX_BAD; i++)
		if (s->opts->bad[i] == mark)
			return true;
	return false;
}

static uint64_t mark_of(const struct mapping *m)
{
	return MARK_FILE | (uint64_t)m->dev_major << 20 | m->dev_minor;
}

/* ---- whose addresses ---- */

static void close_process(struct process *p)
{
	uffdctl_target_close(p->t);
	free(p->maps);
	strpool_free(&p->names);
	perfmap_clear(&p->perfmap);
	*p = (struct process){};
}

/* The parent has the process open and checks afterwards whether it still exists: so the PID belongs to it. */
static int open_process(struct texts *s, struct process *p, const struct text_request *req)
{
	if (p->serial != req->serial) {
		close_process(p);
		p->serial = req->serial;
		p->err = uffdctl_target_open(&s->u, req->pid, &p->t);
	}
	return p->t ? 0 : p->err ?: -ESRCH;
}

/* ---- mappings ---- */

static int add_mapping(struct process *p, const struct maps_line *l)
{
	struct mapping *m;
	const char *name;

	if (l->perms[2] != 'x')
		return 0;
	name = strpool_get(&p->names, l->name);
	m = name ? vec_add(p->maps, p->nr_maps, p->maps_alloc) : NULL;
	if (!m)
		return -ENOMEM;
	*m = (struct mapping){
		.range = l->range,
		.offset = l->offset,
		.dev_major = l->dev_major,
		.dev_minor = l->dev_minor,
		.name = name,
		.is_file = l->inode && *name == '/',
	};
	return 0;
}

static int read_maps(struct process *p)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	int fd = fcntl(p->t->mapsfd, F_DUPFD_CLOEXEC, 0), r = 0;
	struct maps_line l;
	size_t size = 0;

	strpool_free(&p->names);
	p->nr_maps = 0;
	p->maps_ns = now_ns(CLOCK_MONOTONIC_COARSE);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		r = -errno;
		cleanup_close(&fd);
		return r;
	}
	rewind(f);
	while (r == 0 && getline(&line, &size, f) > 0)
		r = maps_line_parse(line, &l) < 0 ? -EPROTO : add_mapping(p, &l);
	return r;
}

static struct mapping *mapping_in(struct process *p, uint64_t ip)
{
	size_t lo = 0, hi = p->nr_maps;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (p->maps[mid].range.end <= ip)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->nr_maps && p->maps[lo].range.start <= ip ? &p->maps[lo] : NULL;
}

static int find_mapping(struct process *p, uint64_t ip, struct mapping **ret)
{
	uint64_t age = now_ns(CLOCK_MONOTONIC_COARSE) - p->maps_ns;
	struct mapping *m = age < MAPS_NS ? mapping_in(p, ip) : NULL;
	int r;

	if (!m && age >= MAPS_MISS_NS) {
		r = read_maps(p);
		if (r < 0)
			return r;
		m = mapping_in(p, ip);
	}
	*ret = m;
	return m ? 0 : -ENOENT;
}

/* ---- ELF files ---- */

static bool is_same_file(const struct module *mod, const struct stat *st)
{
	return mod->id && mod->dev == st->st_dev && mod->ino == st->st_ino && mod->size == st->st_size &&
	       mod->mtime.tv_sec == st->st_mtim.tv_sec && mod->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

static void drop_module(struct module *mod)
{
	code_close(mod->code);
	*mod = (struct module){};
}

/* Replace the one that was unused for longest. */
static struct module *new_module(struct texts *s, const struct stat *st)
{
	struct module *mod = s->modules;

	for (size_t i = 1; i < s->nr_modules; i++)
		if (s->modules[i].used < mod->used)
			mod = &s->modules[i];
	drop_module(mod);
	*mod = (struct module){
		.id = ++s->last_module,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime = st->st_mtim,
	};
	return mod;
}

static struct module *oldest_code(struct texts *s, const struct module *but)
{
	struct module *oldest = NULL;

	for (size_t i = 0; i < s->nr_modules; i++) {
		struct module *mod = &s->modules[i];

		if (mod != but && mod->code && (!oldest || mod->used < oldest->used))
			oldest = mod;
	}
	return oldest;
}

static void keep_code_budget(struct texts *s, const struct module *but)
{
	uint64_t total = 0;
	struct module *mod;

	for (size_t i = 0; i < s->nr_modules; i++)
		total += s->modules[i].code ? code_bytes(s->modules[i].code) : 0;
	while (total > CODE_BUDGET_BYTES && (mod = oldest_code(s, but))) {
		total -= code_bytes(mod->code);
		drop_module(mod);
	}
}

static struct module *known_module(struct texts *s, const struct mapping *m, const struct stat *st)
{
	for (size_t i = 0; i < s->nr_modules; i++)
		if (st ? is_same_file(&s->modules[i], st) : m->module && s->modules[i].id == m->module)
			return &s->modules[i];
	return NULL;
}

static struct module *file_module(struct texts *s, struct process *p, struct mapping *m)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	struct module *mod;
	struct stat st;

	if (is_bad(s, mark_of(m)))
		return NULL;
	child_mark(mark_of(m));
	fd = elf_open_mapped(p->t->procfd, p->t->tid, m->name, m->range, &path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	mod = known_module(s, m, &st);
	if (mod)
		return mod;
	mod = new_module(s, &st);
	code_open(steal_fd(fd), path, s->opts->flags & UFFDCTL_SYMBOLS_LINES, &mod->code);
	return mod;
}

/* It is in no file. A process can write to its own copy, so use it for no other process. */
static struct module *vdso_module(struct texts *s, struct process *p, struct mapping *m)
{
	_cleanup_close_ int fd = openat(p->t->procfd, "mem", O_RDONLY | O_CLOEXEC);
	struct stat st = { .st_ino = p->serial };
	size_t size = range_len(m->range);
	struct module *mod = known_module(s, m, &st);
	char *image;

	if (mod || fd < 0 || size > VDSO_MAX_BYTES)
		return mod;
	image = aligned_alloc(64, round_up(size, 64));
	if (!image)
		return NULL;
	mod = new_module(s, &st);
	if (pread(fd, image, size, (off_t)m->range.start) != (ssize_t)size ||
	    code_open_image(image, size, &mod->code) < 0)
		free(image);
	return mod;
}

/* NULL: there is none, or it can't be read. */
static struct code *code_of(struct texts *s, struct process *p, struct mapping *m)
{
	struct module *mod = known_module(s, m, NULL);

	if (!mod && m->is_file)
		mod = file_module(s, p, m);
	else if (!mod && !strcmp(m->name, "[vdso]"))
		mod = vdso_module(s, p, m);
	if (!mod)
		return NULL;
	m->module = mod->id;
	mod->used = ++s->module_tick;
	keep_code_budget(s, mod);
	return mod->code;
}

/* ---- text ---- */

/* "libfoo.so.1" of "/usr/lib/libfoo.so.1 (deleted)". */
static void show_name(const struct mapping *m, char *buf, size_t size)
{
	const char *slash = m->is_file ? strrchr(m->name, '/') : NULL, *base = slash ? slash + 1 : m->name;
	size_t len = m->is_file ? vma_name_len(base) : strlen(base);

	snprintf(buf, size, "%.*s", (int)MIN(len, (size_t)NAME_MAX_SHOWN), base);
}

/* Linkers append the version, "memcpy@@GLIBC_2.14". */
static int symbol_len(const char *name)
{
	const char *at = strchr(name, '@');
	size_t len = at && at > name ? (size_t)(at - name) : strlen(name);

	return (int)MIN(len, (size_t)SYMBOL_MAX);
}

static void show_code(const struct code_place *place, const char *name, char *buf)
{
	int len;

	if (place->function)
		len = snprintf(buf, TEXT_MAX, "%.*s+0x%" PRIx64 " (%s)", symbol_len(place->function), place->function,
			       place->offset, name);
	else
		len = snprintf(buf, TEXT_MAX, "0x%" PRIx64 " (%s)", place->vaddr, name);
	if (place->file)
		snprintf(buf + len, TEXT_MAX - len, " %.*s:%d", NAME_MAX_SHOWN, place->file, place->line);
}

/* If there are too many perf maps, drop those of processes that were not asked for lately. */
static void keep_perfmap_budget(struct texts *s, const struct process *but)
{
	uint64_t total = 0;

	for (size_t i = 0; i < s->nr_processes; i++)
		total += perfmap_bytes(&s->processes[i].perfmap);
	for (size_t i = 0; total > PERFMAP_BUDGET_BYTES && i < s->nr_processes; i++) {
		struct process *p = &s->processes[i];

		if (p == but)
			continue;
		total -= perfmap_bytes(&p->perfmap);
		perfmap_clear(&p->perfmap);
	}
}

static bool show_compiled(struct texts *s, struct process *p, uint64_t ip, char *buf)
{
	uint64_t mark = MARK_PERFMAP | (uint32_t)p->t->pid;
	const struct perfmap_entry *e;

	if (is_bad(s, mark))
		return false;
	child_mark(mark);
	if (perfmap_refresh(&p->perfmap, p->t->procfd, &p->nspid) < 0)
		return false;
	keep_perfmap_budget(s, p);
	e = perfmap_find(&p->perfmap, ip);
	if (!e)
		return false;
	snprintf(buf, TEXT_MAX, "%.*s+0x%" PRIx64 " (perf-%u.map)", (int)MIN(e->name_len, (uint32_t)SYMBOL_MAX),
		 p->perfmap.text + e->name, ip - e->start, p->nspid);
	return true;
}

static int show(struct texts *s, struct process *p, uint64_t ip, char *buf)
{
	char name[NAME_MAX_SHOWN + 1];
	struct code_place place;
	struct mapping *m;
	struct code *code;
	int r = find_mapping(p, ip, &m);

	if (r < 0)
		return r;
	show_name(m, name, sizeof(name));
	code = code_of(s, p, m);
	child_mark(mark_of(m));
	if (code && code_find(code, ip - m->range.start + m->offset, &place) == 0) {
		show_code(&place, name, buf);
		return 0;
	}
	if (show_compiled(s, p, ip, buf))
		return 0;
	if (!*name)
		return -ENOENT;
	snprintf(buf, TEXT_MAX, "0x%" PRIx64 " (%s)", m->is_file ? ip - m->range.start + m->offset : ip, name);
	return 0;
}

/* ---- the child's work ---- */

static int look_up(struct texts *s, const struct text_request *req, char *buf)
{
	struct process *p = req->place < s->nr_processes ? &s->processes[req->place] : NULL;
	int r = p ? open_process(s, p, req) : -EINVAL;

	return r < 0 ? r : show(s, p, req->ip, buf);
}

void texts_serve(int sock, void *arg)
{
	const struct texts_opts *opts = arg;
	struct texts s = {
		.opts = opts,
		.nr_processes = opts->nr_processes,
		.nr_modules = opts->nr_modules,
		.processes = calloc(opts->nr_processes, sizeof(*s.processes)),
		.modules = calloc(opts->nr_modules, sizeof(*s.modules)),
	};
	struct text_request req;
	struct text_reply reply;

	while (s.processes && s.modules && recv(sock, &req, sizeof(req), 0) == sizeof(req)) {
		memset(&reply, 0, sizeof(reply));
		child_mark(0);
		reply.err = look_up(&s, &req, reply.text);
		if (send(sock, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
			break;
	}
	/* What they hold is freed when this process ends. */
	free(s.processes);
	free(s.modules);
}
