// SPDX-License-Identifier: LGPL-2.1-or-later
/* The mappings of a target from BPF, with their names and files from PROCMAP_QUERY or /proc/PID/maps. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/inspect/maps_build.h"
#include "lib/kernel/memory.h"
#include "lib/kernel/procmap.h"
#include "lib/log.h"

/* In place of a file. */
enum {
	NAMED = 0, /* by something else: ask */
	NAMELESS,
};

/* As in maps: VM_READ, VM_WRITE, VM_EXEC, VM_MAYSHARE. */
static void set_perms(struct uffdctl_vma *v, uint64_t vm_flags)
{
	v->perms[0] = vm_flags & 1 << 0 ? 'r' : '-';
	v->perms[1] = vm_flags & 1 << 1 ? 'w' : '-';
	v->perms[2] = vm_flags & 1 << 2 ? 'x' : '-';
	v->perms[3] = vm_flags & VM_MAYSHARE ? 's' : 'p';
}

static int set_flags(struct builder *b, struct uffdctl_vma *v, uint64_t vm_flags)
{
	size_t i = vm_flags % ARRAY_SIZE(b->recent);
	char text[64 * 3];

	if (vm_flags & ~b->vmflags->known)
		return 0;
	if (!b->recent[i].text || b->recent[i].vm_flags != vm_flags) {
		vmflags_text(b->vmflags, vm_flags, text);
		b->recent[i].vm_flags = vm_flags;
		b->recent[i].text = strpool_get(&b->m->strings, text);
	}
	v->vm_flags = b->recent[i].text;
	return v->vm_flags ? 0 : -ENOMEM;
}

static int add_event(const void *arg_ev, void *arg)
{
	const struct ev_vma *ev = arg_ev;
	struct builder *b = arg;
	struct uffdctl_maps *m = b->m;
	struct uffdctl_vma *v;
	uint64_t *owner, *file;
	size_t nr = m->nr, nr_files = nr;

	v = vec_add(m->vmas, m->nr, b->vmas_alloc);
	owner = vec_add(m->owners, nr, b->owners_alloc);
	file = vec_add(b->files, nr_files, b->files_alloc);
	if (!v || !owner || !file)
		return -ENOMEM;
	*owner = ev->ctx;
	*file = ev->named ? NAMED : ev->file ?: NAMELESS;
	*v = (struct uffdctl_vma){
		.range = { ev->start, ev->end },
		.modes = vmflags_modes(b->vmflags, ev->vm_flags),
		.page_size = ev->page_size ?: base_page_size(),
		.ctx = b->list ? list_ctx(b->list, ev->ctx) : 0,
		.memory = memory_of_event(ev),
		.offset = ev->offset,
		.dev_major = ev->dev >> 20,
		.dev_minor = ev->dev & 0xfffff,
	};
	set_perms(v, ev->vm_flags);
	return set_flags(b, v, ev->vm_flags);
}

static bool has_range(const struct uffdctl_vma *v, const struct maps_line *l)
{
	return l->range.start == v->range.start && l->range.end == v->range.end;
}

/* -EAGAIN: the mapping has changed. */
static int fill_by_query(struct builder *b, struct uffdctl_vma *v)
{
	char name[PROCMAP_NAME_BYTES];
	struct maps_line l;
	uint64_t page_size;
	int r = procmap_query(b->t->mapsfd, v->range.start, name, &l, &page_size);

	if (r < 0)
		return r == -ENOENT ? -EAGAIN : r;
	if (!has_range(v, &l))
		return -EAGAIN;
	v->page_size = page_size;
	return builder_fill(b, v, &l);
}

/* What neighbours that map one file have in common. */
static void fill_like(struct uffdctl_vma *v, const struct uffdctl_vma *last)
{
	v->inode = last->inode;
	v->dev_major = last->dev_major;
	v->dev_minor = last->dev_minor;
	v->stacked = last->stacked;
	v->page_size = last->page_size;
	v->name = last->name;
}

/* Most mappings of a process with many have no name, or that of the one before: ask for the others only. */
static int fill_one(struct builder *b, size_t i)
{
	struct uffdctl_vma *v = &b->m->vmas[i];

	if (b->files[i] == NAMELESS) {
		v->name = strpool_get(&b->m->strings, "");
		return v->name ? 0 : -ENOMEM;
	}
	if (!i || b->files[i] == NAMED || b->files[i] != b->files[i - 1])
		return fill_by_query(b, v);
	fill_like(v, v - 1);
	return 0;
}

struct line_walk {
	struct builder *b;
	size_t i; /* the mapping that is filled next */
};

#define ALL_FILLED 1

static int fill_from_line(const struct maps_line *l, void *arg)
{
	struct line_walk *walk = arg;
	struct uffdctl_maps *m = walk->b->m;
	struct uffdctl_vma *v = &m->vmas[walk->i];
	int r;

	if (walk->i == m->nr)
		return ALL_FILLED;
	if (l->range.end <= v->range.start)
		return 0;
	if (!has_range(v, l))
		return -EAGAIN;
	r = builder_fill(walk->b, v, l);
	walk->i++;
	return r;
}

/* Before Linux 6.11: all of /proc/PID/maps, beside the mappings from BPF. */
static int fill_by_maps(struct builder *b)
{
	struct line_walk walk = { .b = b };
	int fd, r = target_open_file(b->t, "maps", O_RDONLY, &fd);

	if (r == -ESRCH)
		return r;
	if (r >= 0)
		r = proc_each_mapping(fd, fill_from_line, &walk);
	if (r < 0)
		return r == -EAGAIN ? r : mappings_error(b, r);
	return walk.i < b->m->nr ? -EAGAIN : 0;
}

int mappings_error(struct builder *b, int err)
{
	int r = err == -ENOMEM ? err : target_check(b->t);

	return r < 0 ? r : fail(b->t->u, err, "%d: mappings: %s", b->t->pid, strerror(-err));
}

static int fill(struct builder *b)
{
	int r;

	for (size_t i = 0; i < b->m->nr; i++) {
		r = fill_one(b, i);
		/* It fails for names of 4096 bytes and more. */
		if (r == -ENOTTY || r == -ENAMETOOLONG)
			return fill_by_maps(b);
		if (r < 0)
			return r == -EAGAIN ? r : mappings_error(b, r);
	}
	return 0;
}

int maps_from_bpf(struct builder *b)
{
	struct uffdctl *u = b->t->u;
	struct iter *it;
	int r = iter_get(u, &it);

	if (r < 0)
		return r;
	r = vmflags_get(u, it, &b->vmflags);
	if (r < 0)
		return r;

	/* The mappings may change between the iterator and this: try again. */
	for (int tries = 0; tries < 16; tries++) {
		builder_clear(b);
		r = iter_vmas(it, b->t->pid, !(b->flags & UFFDCTL_MAPS_ALL), add_event, b);
		r = r < 0 ? mappings_error(b, r) : target_check(b->t);
		if (r >= 0 && !b->owners_only)
			r = fill(b);
		if (r != -EAGAIN)
			break;
	}
	free(b->files);
	b->files = NULL;
	if (r != -EAGAIN)
		return r;
	return fail(u, r, "%d: the mappings change faster than they can be read: try again", b->t->pid);
}
