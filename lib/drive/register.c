// SPDX-License-Identifier: LGPL-2.1-or-later
/* Registering and unregistering ranges, and waking who waits there. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>

#include "lib/drive/governs.h"
#include "lib/drive/lock.h"
#include "lib/kernel/kind.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"
#include "lib/util.h"

struct action {
	struct uffdctl_handle *h;
	struct uffdctl_maps *maps;
	uint64_t modes;
	unsigned int flags;
	uffdctl_result_fn fn;
	void *data;
	bool failed;
	bool verified; /* that the userfaultfd governs the target's memory */
	bool gone;     /* no use in going on */
};

static void report(struct action *a, struct uffdctl_result *res, int err, const char *text)
{
	res->error = err;
	res->error_text = err ? text ? text : strerror(-err) : NULL;
	a->failed |= err != 0;
	a->fn(a->data, res);
}

static void report_other(struct action *a, const struct segment *seg, struct uffdctl_result *res)
{
	_cleanup_free_ char *text = handle_other_owner(a->h, seg->vma);

	report(a, res, -EBUSY, text);
}

/* ---- what is said before ---- */

struct thread_warning {
	struct action *a;
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
		log_warning(w->a->h->t->u,
			    "%d: %s holds the %s of thread %u: if that thread handles faults, it will wait for itself",
			    w->a->h->t->pid, vma, what, tid);
		w->warned[i] = true;
	}
}

/*
 * Where a thread's stack is stands in its syscall file while it waits; its TLS is beside
 * the list of robust mutexes that libc keeps there (get_robust_list(2)).
 */
static int warn_thread(uint32_t tid, void *arg)
{
	struct thread_warning *w = arg;
	uint64_t head = 0;
	size_t len;
	char path[64], buf[512];
	const char *p;

	if (syscall(SYS_get_robust_list, tid, &head, &len) == 0 && head)
		warn_address(w, head, tid, "TLS");
	snprintf(path, sizeof(path), "task/%u/syscall", tid);
	if (proc_read(w->a->h->t->procfd, path, buf, sizeof(buf)) < 0)
		return 0;
	/* "NR ARG… SP PC", or "running" */
	p = strrchr(buf, ' ');
	for (; p > buf && p[-1] != ' '; p--)
		;
	if (p > buf)
		warn_address(w, strtoull(p, NULL, 16), tid, "stack");
	return 0;
}

static bool held_by_target(const struct uffdctl_handle *h)
{
	if (h->pid == h->t->pid)
		return true;
	for (size_t i = 0; i < h->list->nr; i++)
		if (h->list->uffds[i].pid == h->t->pid && h->list->ids && h->list->ids[i] == h->uffd_id)
			return true;
	return false;
}

static void warn_own_memory(struct action *a, const struct segments *segs)
{
	_cleanup_free_ bool *warned = calloc(segs->nr + 1, sizeof(*warned));
	struct thread_warning w = { .a = a, .segs = segs, .warned = warned };

	/* A handler in another process needs none of this memory. */
	if (!warned || !held_by_target(a->h))
		return;
	for (size_t i = 0; i < segs->nr; i++) {
		const struct uffdctl_vma *v = segs->segs[i].vma;
		_cleanup_free_ char *vma = vma_describe(v);

		if (strcmp(v->name, "[heap]") && strcmp(v->name, "[stack]"))
			continue;
		log_warning(a->h->t->u,
			    "%d: %s is memory that the process's own handler may need: it would wait for itself",
			    a->h->t->pid, vma);
		warned[i] = true;
	}
	proc_each_number(a->h->t->procfd, "task", warn_thread, &w);
}

static void warn_handler(struct action *a)
{
	struct uffdctl_handle *h = a->h;
	struct uffdctl *u = h->t->u;
	_cleanup_free_ char *fd = handle_describe(h);
	int reader = handle_has_reader(h);

	if (reader == 0)
		log_warning(u,
			    "%d: nobody is seen reading %s: threads that fault in these ranges wait until somebody resolves their faults, as uffdctl continue and copy do",
			    h->t->pid, fd);
	if (reader < 0)
		log_warning(u,
			    "%d: whether anybody reads %s can't be told without BPF: if nobody does, threads that fault in these ranges wait until somebody resolves their faults",
			    h->t->pid, fd);
	for (size_t i = 0; reader > 0 && i < h->list->nr; i++) {
		const struct uffdctl_uffd *d = &h->list->uffds[i];
		bool used = false;

		if (h->list->ids[i] != h->uffd_id)
			continue;
		for (int m = 0; m < NR_MODES; m++)
			used |= d->bytes[m] != 0;
		for (int m = 0; used && m < NR_MODES; m++)
			if (a->modes >> m & 1 && !d->bytes[m])
				log_warning(u,
					    "%d: nothing was registered for %s on %s before: its handler may not know such faults",
					    h->t->pid, uffdctl_mode_name(m), fd);
		break;
	}
}

/* ---- register ---- */

#define TEXT_EPERM "the mapping may never be written (its file was opened read-only, or is sealed)"

static const char *impossible_guest_memfd(uint64_t modes)
{
	uint64_t has = uffd_kernel_features();

	if (modes & (UFFDCTL_MODE_WP | UFFDCTL_MODE_RWP))
		return "guest_memfd can't be registered for wp or rwp: a guest does not go by the process's page table";
	if ((modes & UFFDCTL_MODE_MISSING && !(has & UFFD_FEATURE_MISSING_GUEST_MEMFD)) ||
	    (modes & UFFDCTL_MODE_MINOR && !(has & UFFD_FEATURE_MINOR_GUEST_MEMFD)))
		return "this kernel has no userfaultfd for guest_memfd (one with the patches of kernel-patches/ has)";
	return NULL;
}

/* What the kernel would refuse, as far as it can be told without asking; NULL for nothing. */
static const char *impossible(const struct action *a, const struct uffdctl_vma *v, uint64_t modes, enum vma_kind kind)
{
	/* vma_can_userfault(): such marks need no handler, and so no memory that one could fill. */
	bool any_memory = modes == UFFDCTL_MODE_WP && a->h->features & UFFD_FEATURE_WP_ASYNC;

	if (modes & UFFDCTL_MODE_WP && modes & UFFDCTL_MODE_RWP)
		return "wp and rwp exclude each other";
	if (kind == VMA_OTHER && !any_memory)
		return "this kind of memory can't be registered on this kernel (anonymous, shmem and hugetlbfs can)";
	if (kind == VMA_GUEST_MEMFD && !any_memory)
		return impossible_guest_memfd(modes);
	if (modes & UFFDCTL_MODE_MINOR && kind == VMA_ANON)
		return "minor needs shmem or hugetlbfs memory";
	if (v->vm_flags && !strstr(v->vm_flags, "mw"))
		return TEXT_EPERM;
	return NULL;
}

static const char *register_error(const struct action *a, int err, uint64_t modes, const struct uffdctl_vma *v,
				  enum vma_kind kind)
{
	const char *text;

	switch (err) {
	case -EXDEV:
		return "this userfaultfd governs another process's memory; it was taken back there";
	case -EINVAL:
		text = impossible(a, v, modes, kind);
		if (text)
			return text;
		if (modes & UFFDCTL_MODE_RWP)
			return "this kernel has no rwp mode (needs Linux 7.3), or not for this memory or userfaultfd";
		if (kind == VMA_UNKNOWN)
			return "this kernel can't have the mode on this memory, of a kind that can't be told without BPF";
		if (kind == VMA_GUEST_MEMFD)
			return "this guest_memfd is not shared with the host from the beginning (GUEST_MEMFD_FLAG_INIT_SHARED)";
		return "this kernel or userfaultfd can't have the mode on this memory";
	case -EPERM:
		return TEXT_EPERM;
	case -EBUSY:
		return "registered on another userfaultfd, or a mode that can't be dropped";
	case -ENOMEM:
	case -ESRCH:
		return "the process's memory is gone";
	default:
		return NULL;
	}
}

static bool can_have(const struct uffdctl_vma *v, uint64_t ctx, void *arg)
{
	struct action *a = arg;

	return handle_owner(a->h, v, ctx) != OWNER_OTHER && !impossible(a, v, a->modes, v->kind);
}

/*
 * Without BPF only the deed shows whose memory a userfaultfd governs: a process may hold one
 * of its parent's. What went to another process is taken back before anything else is done.
 */
static int verify(struct action *a, const struct segment *seg, uint64_t modes)
{
	struct uffdctl_maps *maps;
	bool there;
	size_t i;
	int r;

	/* One that had the modes before tells nothing. */
	if (!a->h->uffd_id && (seg->vma->modes & modes) == modes)
		return 0;
	a->verified = true;
	if (a->h->uffd_id)
		return 0;
	r = handle_maps(a->h, &maps);
	if (r < 0)
		return r;
	i = maps_find(maps, seg->range.start);
	there = i < maps->nr && maps->vmas[i].range.start <= seg->range.start && (maps->vmas[i].modes & modes) == modes;
	uffdctl_maps_free(maps);
	if (there)
		return 0;
	uffd_unregister(a->h->uffd, seg->range);
	uffd_wake(a->h->uffd, seg->range);
	a->gone = true;
	return -EXDEV;
}

static void register_segment(struct action *a, const struct segment *seg)
{
	struct uffdctl_result res = {
		.range = seg->range,
		.modes = a->modes | seg->vma->modes,
		.ioctls = UFFDCTL_UNKNOWN,
	};
	uint64_t modes = res.modes;
	enum vma_kind kind;
	int r;

	if (handle_owner(a->h, seg->vma, seg->owner) == OWNER_OTHER) {
		res.modes = seg->vma->modes;
		report_other(a, seg, &res);
		return;
	}
	/* The ioctl replaces the modes: those that are there must be known to be kept. */
	if (seg->owner && !seg->vma->modes) {
		report(a, &res, -EPROTO, "its modes can't be told on this kernel, and would be lost");
		return;
	}
	kind = seg->vma->kind;
	if (a->flags & UFFDCTL_DRY_RUN && kind == VMA_UNKNOWN) {
		report(a, &res, -EOPNOTSUPP,
		       "whether it can be registered can't be told without BPF, or without trying");
		return;
	}
	if (a->flags & UFFDCTL_DRY_RUN)
		r = impossible(a, seg->vma, modes, kind) ? -EINVAL : 0;
	else
		r = uffd_register(a->h->uffd, seg->range, modes, &res.ioctls);
	/* "all" takes what the mode can be had on: here the kernel alone knew. */
	if (r == -EINVAL && kind == VMA_UNKNOWN && seg->spec->kind == RANGE_ALL)
		return;
	if (r >= 0 && !(a->flags & UFFDCTL_DRY_RUN) && !a->verified)
		r = verify(a, seg, modes);
	if (r < 0)
		res.modes = seg->vma->modes;
	report(a, &res, r, r < 0 ? register_error(a, r, modes, seg->vma, kind) : NULL);
}

/* ---- unregister and wake ---- */

static bool is_ours(const struct uffdctl_vma *v, uint64_t ctx, void *arg)
{
	struct action *a = arg;

	return handle_owner(a->h, v, ctx) == OWNER_US;
}

static void unregister_segment(struct action *a, const struct segment *seg)
{
	struct uffdctl_result res = { .range = seg->range, .modes = seg->vma->modes };
	int r = 0;

	switch (handle_owner(a->h, seg->vma, seg->owner)) {
	case OWNER_NONE:
		report(a, &res, -ENOENT, "not registered");
		return;
	case OWNER_OTHER:
		report_other(a, seg, &res);
		return;
	case OWNER_US:
		break;
	}
	if (!(a->flags & UFFDCTL_DRY_RUN)) {
		r = uffd_unregister(a->h->uffd, seg->range);
		/* The kernel wakes those who wait for missing pages only. */
		if (r >= 0)
			r = uffd_wake(a->h->uffd, seg->range);
	}
	report(a, &res, r, r == -ENOMEM || r == -ESRCH ? "the process's memory is gone" : NULL);
}

static void wake(struct action *a, struct uffdctl_range range)
{
	struct uffdctl_result res = {
		.range = range,
		.mapped = UFFDCTL_UNKNOWN,
		.already = UFFDCTL_UNKNOWN,
		.absent = UFFDCTL_UNKNOWN,
		.filled = UFFDCTL_UNKNOWN,
		.elsewhere = UFFDCTL_UNKNOWN,
	};

	report(a, &res, a->flags & UFFDCTL_DRY_RUN ? 0 : uffd_wake(a->h->uffd, range), NULL);
}

static void wake_segment(struct action *a, const struct segment *seg)
{
	struct uffdctl_result res = { .range = seg->range };

	if (handle_owner(a->h, seg->vma, seg->owner) == OWNER_OTHER)
		report_other(a, seg, &res);
	else
		wake(a, seg->range);
}

/* ---- all three ---- */

static int resolve_each(struct action *a, const struct uffdctl_ranges *ranges, const struct range_filter *filter,
			struct segments *segs)
{
	int r;

	for (size_t i = 0; i < ranges->nr; i++) {
		r = range_resolve(a->h->t, a->maps, &ranges->specs[i], filter, segs);
		if (r == -ENOMEM || r == -ESRCH || r == -EINTR)
			return r;
		a->failed |= r < 0;
	}
	return 0;
}

static int run(struct action *a, const struct uffdctl_ranges *ranges, const struct range_filter *filter,
	       int (*before)(struct action *a, const struct segments *segs),
	       void (*each)(struct action *a, const struct segment *seg))
{
	struct segments segs = {};
	int r = handle_maps(a->h, &a->maps);

	if (r < 0)
		return r;
	r = resolve_each(a, ranges, filter, &segs);
	if (r >= 0 && segs.nr && before)
		r = before(a, &segs);
	if (r >= 0 && lock_is_unwanted(a->h))
		r = -EINTR;
	for (size_t i = 0; r >= 0 && i < segs.nr && !a->gone; i++)
		each(a, &segs.segs[i]);
	segments_free(&segs);
	uffdctl_maps_free(a->maps);
	return r < 0 ? r : a->failed ? -EIO : 0;
}

/* With the lock, where something is changed. */
static int run_locked(struct action *a, const struct uffdctl_ranges *ranges, const struct range_filter *filter,
		      int (*before)(struct action *a, const struct segments *segs),
		      void (*each)(struct action *a, const struct segment *seg))
{
	bool dry = a->flags & UFFDCTL_DRY_RUN;
	int r = dry ? 0 : lock_take(a->h);

	if (r < 0)
		return r;
	r = run(a, ranges, filter, before, each);
	if (!dry)
		lock_release(a->h);
	return r;
}

/*
 * The deed shows whose memory a userfaultfd governs, but not where the modes are there already: see verify().
 * Nor may it be tried where another process has something registered, which would be lost.
 */
static int check_present(struct action *a, const struct segments *segs)
{
	bool by_deed = true;

	for (size_t i = 0; i < segs->nr; i++)
		by_deed &= (segs->segs[i].vma->modes & a->modes) != a->modes;
	return governs_check(a->h, segs, by_deed);
}

static int before_register(struct action *a, const struct segments *segs)
{
	struct segments passing = { .segs = calloc(segs->nr + 1, sizeof(*segs->segs)) };

	/* Of what will be refused there is nothing to warn. */
	for (size_t i = 0; passing.segs && i < segs->nr; i++) {
		const struct segment *seg = &segs->segs[i];

		if (can_have(seg->vma, seg->owner, a))
			passing.segs[passing.nr++] = *seg;
	}
	if (passing.nr) {
		warn_handler(a);
		warn_own_memory(a, &passing);
	}
	segments_free(&passing);
	return check_present(a, segs);
}

static int before_unregister(struct action *a, const struct segments *segs)
{
	return governs_check(a->h, segs, false);
}

UFFDCTL_EXPORT int uffdctl_register(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, uint64_t modes,
				    unsigned int flags, uffdctl_result_fn fn, void *data)
{
	struct action a = { .h = h, .modes = modes, .flags = flags, .fn = fn, .data = data };
	struct range_filter filter = { .all = can_have, .arg = &a };

	return run_locked(&a, ranges, &filter, before_register, register_segment);
}

UFFDCTL_EXPORT int uffdctl_unregister(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, unsigned int flags,
				      uffdctl_result_fn fn, void *data)
{
	struct action a = { .h = h, .flags = flags, .fn = fn, .data = data };
	struct range_filter filter = { .all = is_ours, .arg = &a, .glob_registered = true };

	return run_locked(&a, ranges, &filter, before_unregister, unregister_segment);
}

/* Addresses need not be mapped: threads may wait where a mapping was. */
static int wake_addresses(struct action *a, const struct range_spec *spec)
{
	size_t i;
	int r = handle_maps(a->h, &a->maps);

	if (r < 0)
		return r;
	for (i = maps_find(a->maps, spec->range.start); i < a->maps->nr; i++) {
		struct segment seg = { spec->range, &a->maps->vmas[i], maps_owner(a->maps, i), spec };

		if (seg.vma->range.start >= spec->range.end) {
			i = a->maps->nr;
			break;
		}
		if (handle_owner(a->h, seg.vma, seg.owner) == OWNER_OTHER) {
			wake_segment(a, &seg);
			break;
		}
	}
	if (i == a->maps->nr)
		wake(a, spec->range);
	uffdctl_maps_free(a->maps);
	return 0;
}

UFFDCTL_EXPORT int uffdctl_wake(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, unsigned int flags,
				uffdctl_result_fn fn, void *data)
{
	struct action a = { .h = h, .flags = flags, .fn = fn, .data = data };
	struct range_filter filter = { .all = is_ours, .arg = &a, .glob_registered = true };
	int r;

	for (size_t i = 0; i < ranges->nr; i++) {
		struct uffdctl_ranges one = { .u = ranges->u, .specs = &ranges->specs[i], .nr = 1 };

		r = one.specs->kind == RANGE_ADDRESS ? wake_addresses(&a, one.specs)
						     : run(&a, &one, &filter, NULL, wake_segment);
		if (r < 0 && r != -EIO)
			return r;
	}
	return a.failed ? -EIO : 0;
}
