// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Data objects of a running process's ELF files.
 *
 * A child process reads them (child.h), one file after the other, and sends what it finds. If a file does not answer,
 * or ends the child, another child goes on with the next file.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "lib/kernel/memory.h"
#include "lib/log.h"
#include "lib/symbols/child.h"
#include "lib/symbols/elf.h"
#include "lib/symbols/elf_file.h"
#include "lib/symbols/elf_search.h"
#include "lib/util.h"

#define CHILD_MAX_BYTES (UINT64_C(256) << 20)

struct object {
	struct uffdctl_range range;
	char *label; /* "libfoo.so.1:arena@@V1", escaped */
};

/* The result of the search. */
struct collection {
	struct elf_search search;
	size_t modules_alloc;
	sigset_t mask; /* signal mask of the caller */
	struct object *objects;
	size_t nr, alloc;
	bool module_seen;
};

/* The module to which a mapping belongs: a file may be loaded twice, and other files may be mapped over parts of it. */
static struct elf_module *module_before(const struct collection *s, const struct uffdctl_vma *v)
{
	const struct uffdctl_vma *vmas = s->search.vmas;

	for (size_t i = s->search.nr_modules; i-- > 0 && i + 8 >= s->search.nr_modules;) {
		struct elf_module *m = &s->search.modules[i];

		if (elf_is_part(v, &vmas[m->first]))
			return v->offset >= vmas[m->last].offset ? m : NULL;
	}
	return NULL;
}

static int find_modules(struct collection *s)
{
	for (size_t i = 0; i < s->search.nr_vmas; i++) {
		const struct uffdctl_vma *v = &s->search.vmas[i];
		struct elf_module *m;

		if (!v->inode || !v->name || *v->name != '/' || v->memory == UFFDCTL_MEMORY_HUGETLB)
			continue;
		m = module_before(s, v);
		if (m) {
			m->last = i;
			continue;
		}
		m = vec_add(s->search.modules, s->search.nr_modules, s->modules_alloc);
		if (!m)
			return -ENOMEM;
		*m = (struct elf_module){ .first = i, .last = i };
	}
	return 0;
}

static int add_object(struct collection *s, const struct elf_message *m)
{
	_cleanup_free_ char *text = NULL,
			    *name = elf_plain_name(elf_vma_of(&s->search, &s->search.modules[m->module])->name);
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
static int take(struct collection *s, struct elf_message *m)
{
	if (m->module >= s->search.nr_modules)
		return -EPIPE;
	m->name[sizeof(m->name) - 1] = '\0';
	switch (m->kind) {
	case ELF_FOUND:
		return add_object(s, m);
	case ELF_NAMED:
		s->module_seen = true;
		return 0;
	case ELF_NOT_READ:
		s->search.modules[m->module].err = m->err;
		return 0;
	default:
		return 1;
	}
}

/* Other files on the same device do not answer either. */
static void mark_unread(struct collection *s, size_t module, int err)
{
	const struct uffdctl_vma *v = elf_vma_of(&s->search, &s->search.modules[module]);

	s->search.modules[module].err = err;
	for (size_t i = module + 1; err == -ETIMEDOUT && i < s->search.nr_modules; i++) {
		const struct uffdctl_vma *w = elf_vma_of(&s->search, &s->search.modules[i]);

		if (w->dev_major == v->dev_major && w->dev_minor == v->dev_minor)
			s->search.modules[i].err = err;
	}
}

/* Run one child. 0: there is more to do, for another child. */
static int search_some(struct collection *s)
{
	struct elf_message m;
	struct child c;
	size_t len, at;
	int r = child_start(&c, &s->search.t->procfd, 1, CHILD_MAX_BYTES, elf_search_modules, &s->search);

	if (r < 0)
		return fail(s->search.t->u, r, "%d: starting a process that reads its ELF files: %s", s->search.t->pid,
			    strerror(-r));
	while (r == 0) {
		r = child_receive(&c, &s->mask, &m, sizeof(m), &len);
		if (r == 0)
			r = len == sizeof(m) ? take(s, &m) : -EPIPE;
	}
	at = MIN((size_t)child_at(&c), s->search.nr_modules - 1);
	child_stop(&c);
	if (r != -ETIMEDOUT && r != -EPIPE)
		return r;
	mark_unread(s, at, r);
	s->search.next = at + 1;
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
		return "it has too many symbols";
	default:
		return strerror(-err);
	}
}

static void warn_unread(const struct collection *s)
{
	const char *last = NULL;

	for (size_t i = 0; i < s->search.nr_modules; i++) {
		const struct uffdctl_vma *v = elf_vma_of(&s->search, &s->search.modules[i]);
		_cleanup_free_ char *name = s->search.modules[i].err ? escaped(v->name) : NULL;

		if (!name || (last && !strcmp(last, v->name)))
			continue;
		log_warning(s->search.t->u, "%d: %s was not searched for %s: %s", s->search.t->pid, name,
			    s->search.symbol, why_unread(s->search.modules[i].err));
		last = v->name;
	}
}

static int report(struct collection *s, struct uffdctl_range *ret)
{
	struct uffdctl *u = s->search.t->u;
	_cleanup_free_ char *module = s->search.module_name ? escaped(s->search.module_name) : NULL,
			    *symbol = escaped(s->search.symbol), *list = NULL;
	size_t size;
	FILE *f;

	if (s->search.module_name && !s->module_seen)
		return fail(u, -ENOENT,
			    "%d: no readable ELF file named %s is mapped (for a mapping named %s:%s, write @%s:%s)",
			    s->search.t->pid, module, module, symbol, module, symbol);
	if (!s->nr)
		return fail(u, -ENOENT, "%d: no data object %s in %s (stripped? install its debug file)",
			    s->search.t->pid, symbol, module ? module : "the mapped ELF files");
	if (s->nr == 1) {
		*ret = s->objects[0].range;
		return 0;
	}
	f = open_memstream(&list, &size);
	if (!f)
		return log_oom(u);
	for (size_t i = 0; i < s->nr; i++)
		fprintf(f, "%s %s (%" PRIx64 "+%" PRIu64 ")", i ? "," : "", s->objects[i].label,
			s->objects[i].range.start, range_len(s->objects[i].range));
	fclose(f);
	return fail(u, -ENOTUNIQ, "%d: :%s is ambiguous:%s: write one of these, or its address", s->search.t->pid,
		    symbol, list);
}

/* Block signals except while waiting for the child: between two waits one would be lost. */
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
	struct collection s = {
		.search = { .t = t, .vmas = vmas, .nr_vmas = nr_vmas, .module_name = module, .symbol = symbol }
	};
	int r = find_modules(&s);

	hold_signals(&s.mask);
	while (r == 0 && s.search.next < s.search.nr_modules)
		r = search_some(&s);
	pthread_sigmask(SIG_SETMASK, &s.mask, NULL);
	if (r == -EINTR)
		r = fail(t->u, r, "%d: interrupted while its ELF files were read: nothing was changed", t->pid);
	if (r >= 0)
		r = target_check(t);
	if (r >= 0) {
		warn_unread(&s);
		r = report(&s, ret);
	}
	for (size_t i = 0; i < s.nr; i++)
		free(s.objects[i].label);
	free(s.objects);
	free(s.search.modules);
	return r;
}
