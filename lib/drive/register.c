// SPDX-License-Identifier: LGPL-2.1-or-later
/* Registering ranges. */
#include <errno.h>
#include <string.h>

#include "lib/drive/action.h"
#include "lib/drive/governs.h"
#include "lib/drive/register_warn.h"
#include "lib/kernel/own_memory.h"
#include "lib/kernel/uffd.h"

/* Data that only register keeps with an action. */
struct registering {
	uint64_t modes;
	bool verified; /* without BPF: that the userfaultfd governs the target's memory */
};

static struct registering *registering(const struct action *a)
{
	return a->op_data;
}

/* ---- what can be had ---- */

#define TEXT_EPERM "the mapping can't be made writable (its file was opened read-only, or is sealed)"

static const char *impossible_guest_memfd(uint64_t modes)
{
	if (modes & (UFFDCTL_MODE_WP | UFFDCTL_MODE_RWP))
		return "guest_memfd can't be registered for wp or rwp: a guest does not use the process's page table";
	/* No feature bit tells. */
	if (own_guest_memfd_registers(modes) == 0)
		return "this kernel has no userfaultfd for guest_memfd (a kernel with the patches of kernel-patches/ has it)";
	return NULL;
}

/* Why the kernel would refuse, as far as this is known without asking it; NULL: no reason known. */
static const char *impossible(const struct uffdctl_handle *h, const struct uffdctl_vma *v, uint64_t modes)
{
	/* vma_can_userfault(): wp_async needs no handler, so the kernel allows it on any memory. */
	bool any_memory = modes == UFFDCTL_MODE_WP && h->features & UFFD_FEATURE_WP_ASYNC;

	if (modes & UFFDCTL_MODE_WP && modes & UFFDCTL_MODE_RWP)
		return "wp and rwp exclude each other";
	if (v->memory == UFFDCTL_MEMORY_OTHER && !any_memory)
		return "this kind of memory can't be registered on this kernel (anonymous, shmem and hugetlbfs can)";
	if (v->memory == UFFDCTL_MEMORY_GUEST_MEMFD && !any_memory)
		return impossible_guest_memfd(modes);
	if (modes & UFFDCTL_MODE_MINOR && v->memory == UFFDCTL_MEMORY_ANON)
		return "minor needs shmem or hugetlbfs memory";
	if (v->vm_flags && !strstr(v->vm_flags, "mw"))
		return TEXT_EPERM;
	return NULL;
}

static const char *refused(const struct uffdctl_handle *h, uint64_t modes, const struct uffdctl_vma *v)
{
	const char *text = impossible(h, v, modes);

	if (text)
		return text;
	if (modes & UFFDCTL_MODE_RWP)
		return "this kernel has no rwp mode (needs Linux 7.3), or does not support it for this memory or userfaultfd";
	if (v->memory == UFFDCTL_MEMORY_UNKNOWN)
		return "this kernel does not support the mode on this memory (without BPF its kind is not known)";
	if (v->memory == UFFDCTL_MEMORY_GUEST_MEMFD)
		return "this guest_memfd was not created as shared with the host (GUEST_MEMFD_FLAG_INIT_SHARED), or this kernel has no userfaultfd for guest_memfd";
	return "this kernel or userfaultfd does not support the mode on this memory";
}

static const char *error_text(const struct uffdctl_handle *h, int err, uint64_t modes, const struct uffdctl_vma *v)
{
	switch (err) {
	case -EXDEV:
		return "this userfaultfd governs another process's memory; the range was unregistered there again";
	case -EPROTO:
		return "whose memory this userfaultfd governs could not be found out: undone, except where other modes were registered before";
	case -EINVAL:
		return refused(h, modes, v);
	case -EPERM:
		return TEXT_EPERM;
	case -EBUSY:
		return "registered on another userfaultfd, or for a mode that can't be removed";
	case -ENOMEM:
	case -ESRCH:
		return "the process's memory is gone";
	default:
		return NULL;
	}
}

static bool can_have(const struct uffdctl_vma *v, uint64_t owner, void *arg)
{
	struct action *a = arg;

	return handle_owner(a->h, v, owner) != OWNER_OTHER && !impossible(a->h, v, registering(a)->modes);
}

/* ---- whose memory it is ---- */

/*
 * Without BPF, only registering shows whose memory a userfaultfd governs: a child may hold a userfaultfd of its parent.
 * If the registration took effect in another process, it is undone before anything else.
 */
static int verify(struct action *a, const struct segment *seg, uint64_t modes)
{
	const struct uffdctl_vma *v;
	struct uffdctl_maps *maps;
	int r;

	/* A range that had the modes before shows nothing. */
	if (a->h->uffd_id || (seg->vma->modes & modes) == modes)
		return 0;
	r = handle_maps(a->h, &maps);
	if (r >= 0) {
		v = maps_at(maps, seg->range.start);
		r = v && (v->modes & modes) == modes ? 0 : -EXDEV;
		uffdctl_maps_free(maps);
	}
	registering(a)->verified = r >= 0;
	if (r >= 0)
		return 0;
	a->gone = true;
	/* The kernel removes no single mode. If this may be the target, keep what it had registered, and its marks. */
	if (r == -EXDEV || !seg->vma->modes) {
		uffd_unregister(a->h->uffd, seg->range);
		uffd_wake(a->h->uffd, seg->range);
	}
	return r == -EXDEV || r == -ESRCH ? r : -EPROTO;
}

/*
 * Registering shows whose memory a userfaultfd governs, except if the range has the modes already: see verify(). It
 * must not be tried if another process has something registered there, which would be lost.
 */
static int check_present(struct action *a, const struct segments *segs)
{
	uint64_t modes = registering(a)->modes;
	bool by_deed = true;

	for (size_t i = 0; i < segs->nr; i++)
		by_deed &= (segs->segs[i].vma->modes & modes) != modes;
	return governs_check(a->h, segs, by_deed);
}

static int before_register(struct action *a, const struct segments *segs)
{
	struct segments passing = { .segs = calloc(segs->nr + 1, sizeof(*segs->segs)) };

	/* No warnings about parts that the kernel will refuse. */
	for (size_t i = 0; passing.segs && i < segs->nr; i++) {
		const struct segment *seg = &segs->segs[i];

		if (can_have(seg->vma, seg->owner, a))
			passing.segs[passing.nr++] = *seg;
	}
	if (passing.nr && !(a->opts.flags & UFFDCTL_ACTION_HANDLED)) {
		warn_handler(a->h, a->maps, registering(a)->modes);
		warn_own_memory(a->h, &passing);
		warn_same_file(a->h, &passing);
	}
	segments_free(&passing);
	return check_present(a, segs);
}

/* ---- the ioctl ---- */

/* Why it is not tried; 0: it is tried. */
static int check_segment(const struct action *a, const struct segment *seg, const char **ret_text)
{
	/* The ioctl replaces the modes: to keep the existing ones, we must know them. */
	if (seg->owner && !seg->vma->modes) {
		*ret_text = "its modes are not known on this kernel, and would be lost";
		return -EPROTO;
	}
	if (a->opts.flags & UFFDCTL_ACTION_DRY_RUN && seg->vma->memory == UFFDCTL_MEMORY_UNKNOWN) {
		*ret_text = "without BPF it is not known whether it can be registered: only trying shows";
		return -EOPNOTSUPP;
	}
	return 0;
}

static int try_segment(struct action *a, const struct segment *seg, uint64_t modes, uint64_t *ret_ioctls)
{
	int r;

	if (a->opts.flags & UFFDCTL_ACTION_DRY_RUN)
		return impossible(a->h, seg->vma, modes) ? -EINVAL : 0;
	r = uffd_register(a->h->uffd, seg->range, modes, ret_ioctls);
	return r >= 0 && !registering(a)->verified ? verify(a, seg, modes) : r;
}

static void register_segment(struct action *a, const struct segment *seg)
{
	uint64_t modes = registering(a)->modes | seg->vma->modes;
	struct uffdctl_result res = { .range = seg->range, .modes = modes, .ioctls = UFFDCTL_UNKNOWN };
	const char *text = NULL;
	int r;

	if (handle_owner(a->h, seg->vma, seg->owner) == OWNER_OTHER) {
		res.modes = seg->vma->modes;
		action_report_other(a, seg, &res);
		return;
	}
	r = check_segment(a, seg, &text);
	if (r >= 0) {
		r = try_segment(a, seg, modes, &res.ioctls);
		/* "all" selects mappings that support the mode: here only the kernel knew that this one does not. */
		if (r == -EINVAL && seg->vma->memory == UFFDCTL_MEMORY_UNKNOWN && seg->spec->kind == RANGE_ALL)
			return;
		if (r < 0) {
			res.modes = seg->vma->modes;
			text = error_text(a->h, r, modes, seg->vma);
		}
	}
	action_report(a, &res, r, text);
}

UFFDCTL_EXPORT int uffdctl_register(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, uint64_t modes,
				    const struct uffdctl_action_opts *opts)
{
	struct registering reg = { .modes = modes };
	struct action a = {
		.h = h,
		.filter = { .all = can_have,
			    .verb = "of this process can be registered",
			    .modes = modes,
			    .hint = "minor needs shmem or hugetlbfs; missing and wp, anonymous memory too" },
		.before = before_register,
		.each = register_segment,
		.op_data = &reg,
	};
	int r = action_opts(h, opts, UFFDCTL_ACTION_DRY_RUN | UFFDCTL_ACTION_HANDLED, false, &a.opts);

	return r < 0 ? r : action_run(&a, ranges);
}
