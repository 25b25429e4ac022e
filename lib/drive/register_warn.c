// SPDX-License-Identifier: LGPL-2.1-or-later
/* Warnings before ranges are registered: threads that may wait forever. */
#include <inttypes.h>
#include <string.h>

#include "lib/drive/register_warn.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/names.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/robust_list.h"
#include "lib/log.h"

struct thread_warning {
	struct uffdctl_handle *h;
	const struct segments *segs;
	bool *warned;
};

static void warn_address(struct thread_warning *w, uint64_t addr, uint32_t tid, const char *what)
{
	for (size_t i = 0; i < w->segs->nr; i++) {
		const struct segment *seg = &w->segs->segs[i];
		_cleanup_free_ char *vma = NULL;

		if (addr < seg->range.start || addr >= seg->range.end || w->warned[i])
			continue;
		vma = vma_describe(seg->vma);
		log_warning(w->h->t->u,
			    "%d: %s holds the %s of thread %u: if that thread handles faults, it will deadlock",
			    w->h->t->pid, vma, what, tid);
		w->warned[i] = true;
	}
}

static int warn_thread(uint32_t tid, void *arg)
{
	struct thread_warning *w = arg;
	uint64_t tls = robust_list_head(tid), stack;

	if (tls)
		warn_address(w, tls, tid, "TLS");
	stack = proc_stack_pointer(w->h->t->procfd, tid);
	if (stack)
		warn_address(w, stack, tid, "stack");
	return 0;
}

static bool held_by_target(struct uffdctl_handle *h)
{
	if (h->pid == h->t->pid)
		return true;
	if (handle_look(h, false) < 0)
		return false;
	for (size_t i = 0; i < h->list->nr; i++)
		if (h->list->uffds[i].pid == h->t->pid && h->list->ids && h->list->ids[i] == h->uffd_id)
			return true;
	return false;
}

void warn_own_memory(struct uffdctl_handle *h, const struct segments *segs)
{
	_cleanup_free_ bool *warned = calloc(segs->nr + 1, sizeof(*warned));
	struct thread_warning w = { .h = h, .segs = segs, .warned = warned };

	/* A handler in another process does not use this memory. */
	if (!warned || !held_by_target(h))
		return;
	for (size_t i = 0; i < segs->nr; i++) {
		const struct uffdctl_vma *v = segs->segs[i].vma;
		_cleanup_free_ char *vma = vma_describe(v);

		if (strcmp(v->name, "[heap]") && strcmp(v->name, "[stack]"))
			continue;
		log_warning(h->t->u,
			    "%d: %s is memory that the process's own handler may need: the handler would deadlock",
			    h->t->pid, vma);
		warned[i] = true;
	}
	proc_each_number(h->t->procfd, "task", warn_thread, &w);
}

/* By file, then by the offset in it. */
static int cmp_file(const void *a, const void *b)
{
	const struct uffdctl_vma *v = ((const struct segment *)a)->vma, *w = ((const struct segment *)b)->vma;
	const uint64_t x[] = { v->inode, v->dev_major, v->dev_minor, v->offset, v->range.start };
	const uint64_t y[] = { w->inode, w->dev_major, w->dev_minor, w->offset, w->range.start };

	for (size_t i = 0; i < ARRAY_SIZE(x); i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

/* Those of files that the user did not choose one by one. */
static size_t collect_unchosen(const struct segments *segs, struct segment *ret)
{
	size_t nr = 0;

	for (size_t i = 0; i < segs->nr; i++) {
		const struct segment *seg = &segs->segs[i];
		bool by_glob = seg->spec->kind == RANGE_GLOB && !seg->spec->nth;

		if ((by_glob || seg->spec->kind == RANGE_ALL) && seg->vma->inode)
			ret[nr++] = *seg;
	}
	qsort(ret, nr, sizeof(*ret), cmp_file);
	return nr;
}

static void warn_pair(struct uffdctl_handle *h, const struct segment *a, const struct segment *b)
{
	_cleanup_free_ char *first = vma_describe(a->vma), *second = vma_describe(b->vma), *nth = NULL;

	if (a->spec->kind == RANGE_GLOB &&
	    asprintf(&nth, " or, counted by address, as 1%s or 2%s", a->spec->text, a->spec->text) < 0)
		nth = NULL;
	log_warning(h->t->u,
		    "%d: %s takes two mappings of one file: %s at offset 0x%" PRIx64 ", and %s at offset 0x%" PRIx64
		    ": a handler that fills pages through one of them will wait for itself; name the one that shall fault as START-END%s (see uffdctl smaps --all %d)",
		    h->t->pid, a->spec->text, first, a->vma->offset, second, b->vma->offset, nth ?: "", h->t->pid);
}

void warn_same_file(struct uffdctl_handle *h, const struct segments *segs)
{
	_cleanup_free_ struct segment *sorted = calloc(segs->nr + 1, sizeof(*sorted));
	const struct segment *last = sorted; /* the one that reaches furthest into its file */
	bool warned = false;		     /* of this file */
	size_t nr;

	/* A handler in another process uses mappings of its own. */
	if (!sorted || !held_by_target(h))
		return;
	nr = collect_unchosen(segs, sorted);
	for (size_t i = 1; i < nr; i++) {
		const struct uffdctl_vma *v = sorted[i].vma;
		bool same = vma_same_file(last->vma, v);
		uint64_t reach = vma_offset(last->vma, last->vma->range.end);

		warned &= same;
		if (same && !warned && v != last->vma && v->offset < reach) {
			warn_pair(h, last, &sorted[i]);
			warned = true;
		}
		if (!same || vma_offset(v, v->range.end) > reach)
			last = &sorted[i];
	}
}

/* The modes for which the userfaultfd has something registered. */
static uint64_t used_modes(const struct uffdctl_handle *h, const struct uffdctl_maps *maps)
{
	uint64_t modes = 0;

	for (size_t i = 0; i < maps->nr; i++)
		if (maps_owner(maps, i) == h->uffd_id)
			modes |= maps->vmas[i].modes;
	return modes;
}

void warn_handler(struct uffdctl_handle *h, const struct uffdctl_maps *maps, uint64_t modes)
{
	struct uffdctl *u = h->t->u;
	_cleanup_free_ char *fd = handle_describe(h);
	int reader = handle_reader(h);
	uint64_t used;

	if (reader == READER_NONE)
		log_warning(u,
			    "%d: no handler was seen reading %s: threads that fault in these ranges will wait until somebody resolves their faults, for example with uffdctl continue or uffdctl copy",
			    h->t->pid, fd);
	if (reader < 0)
		log_warning(u,
			    "%d: without BPF it is not known whether a handler reads %s%s: if none does, threads that fault in these ranges will wait until somebody resolves their faults",
			    h->t->pid, fd, iter_remedy(u));
	used = reader > 0 ? used_modes(h, maps) : 0;
	for (int m = 0; used && m < NR_MODES; m++)
		if (modes >> m & 1 && !(used >> m & 1))
			log_warning(u,
				    "%d: nothing was registered for %s on %s before: its handler may not know how to handle such faults",
				    h->t->pid, uffdctl_mode_name(m), fd);
}
