// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * For which modes each mapping of a process can be registered: predicted from memory of our own of the same kind, on a
 * userfaultfd with the same features.
 */
#include <string.h>

#include "lib/inspect/doctor_memory.h"
#include "lib/inspect/doctor_target.h"
#include "lib/inspect/maps.h"
#include "lib/kernel/names.h"
#include "lib/kernel/uapi.h"

static bool own_kind_of(const struct uffdctl_vma *v, enum own_kind *ret)
{
	bool shared = vma_is_shared(v);

	switch (v->memory) {
	case UFFDCTL_MEMORY_ANON:
		*ret = OWN_ANON;
		return true;
	case UFFDCTL_MEMORY_SHMEM:
		*ret = shared ? OWN_SHMEM : OWN_SHMEM_PRIVATE;
		return true;
	case UFFDCTL_MEMORY_HUGETLB:
		*ret = shared ? OWN_HUGETLB : OWN_HUGETLB_PRIVATE;
		return true;
	case UFFDCTL_MEMORY_GUEST_MEMFD:
		*ret = OWN_GUEST_MEMFD;
		return true;
	case UFFDCTL_MEMORY_OTHER:
		*ret = OWN_FILE;
		return true;
	default:
		return false;
	}
}

/* What our own memory of each kind can have, by page size: each is asked once. */
struct kinds {
	struct kind {
		enum own_kind kind;
		uint64_t page_size, can, unknown;
	} known[OWN_NR_KINDS + 8];
	size_t nr;
	int uffd; /* with the features of the target's; -1: none */
};

static struct kind kind_modes(struct patient *p, struct kinds *k, enum own_kind kind, uint64_t page_size)
{
	struct kind new = { .kind = kind, .page_size = page_size };

	for (size_t i = 0; i < k->nr; i++)
		if (k->known[i].kind == kind && k->known[i].page_size == page_size)
			return k->known[i];
	new.can = memory_modes(p->d, k->uffd, kind, page_size, &new.unknown);
	if (k->nr < ARRAY_SIZE(k->known))
		k->known[k->nr++] = new;
	return new;
}

#define ALL_MODES ((UINT64_C(1) << NR_MODES) - 1)

/* 1: it may be made writable (VM_MAYWRITE); 0: not; -1: not known. */
static int may_write(const struct uffdctl_vma *v)
{
	if (v->vm_flags)
		return strstr(v->vm_flags, "mw") != NULL;
	return v->perms[1] == 'w' || !vma_is_shared(v) ? 1 : -1;
}

int patient_of_another(const struct patient *p, const struct uffdctl_vma *v)
{
	if (!v->modes)
		return 0;
	return !v->ctx || !p->uffd || !p->uffd->ctx ? -1 : v->ctx != p->uffd->ctx;
}

/* Modes that this kernel has not got are known. */
static uint64_t without_kernels(const struct uffdctl_doctor *d, uint64_t unknown)
{
	return d->features && !(d->features & UFFD_FEATURE_RWP) ? unknown & ~(uint64_t)UFFDCTL_MODE_RWP : unknown;
}

static bool features_known(const struct patient *p)
{
	return p->uffd && p->uffd->features != UFFDCTL_UNKNOWN;
}

static void judge_mapping(struct patient *p, struct kinds *k, const struct uffdctl_vma *v, struct uffdctl_prospect *ret)
{
	uint64_t exclusive = UFFDCTL_MODE_WP | UFFDCTL_MODE_RWP;
	enum own_kind kind;
	struct kind of_kind;

	if (!own_kind_of(v, &kind)) {
		ret->unknown = ALL_MODES;
		ret->why = "its kind of memory is not known";
		return;
	}
	of_kind = kind_modes(p, k, kind, v->page_size);
	ret->can = of_kind.can;
	ret->unknown = of_kind.unknown;
	if (!features_known(p) && p->d->features & UFFD_FEATURE_WP_ASYNC && !(ret->can & UFFDCTL_MODE_WP)) {
		ret->unknown |= UFFDCTL_MODE_WP;
		ret->why = "whether its userfaultfd has the feature wp_async is not known";
	}
	/* What files can have by an asynchronous mode, the kernel's own mappings, such as [vdso], may not. */
	if (kind == OWN_FILE && v->name && *v->name == '[' && ret->can) {
		ret->unknown |= ret->can;
		ret->can = 0;
		ret->why = "it is a mapping of the kernel's own";
	}
	if (of_kind.unknown)
		ret->why = k->uffd < 0 ? "there is no userfaultfd to try this kind of memory with"
				       : "memory of this kind can't be made here, to try it";
	if (v->modes & exclusive)
		ret->can &= ~(exclusive & ~v->modes);
	if (may_write(v) == 0 || patient_of_another(p, v) == 1) {
		ret->why = may_write(v) == 0 ? "it can't be made writable" : "it is registered on another userfaultfd";
		ret->can = ret->unknown = 0;
	} else if (may_write(v) < 0 || patient_of_another(p, v) < 0) {
		ret->why = may_write(v) < 0 ? "whether it can be made writable is not known"
					    : "on which userfaultfd it is registered is not known";
		ret->unknown |= ret->can;
		ret->can = 0;
	}
}

void prospects_add(struct patient *p)
{
	struct uffdctl_doctor *d = p->d;
	struct kinds k = { .uffd = -1 };

	/* Features add to what can be had: see judge_mapping() for those that are not known. */
	memory_uffd(d, features_known(p) ? p->uffd->features : 0, &k.uffd);
	for (size_t i = 0; i < uffdctl_maps_count(p->maps); i++) {
		const struct uffdctl_vma *v = uffdctl_maps_get(p->maps, i);
		struct uffdctl_prospect *pr = vec_add(d->prospects, d->nr_prospects, d->prospects_alloc);

		if (!pr)
			break;
		*pr = (struct uffdctl_prospect){ .range = v->range, .memory = v->memory, .modes = v->modes };
		memcpy(pr->perms, v->perms, sizeof(pr->perms));
		pr->name = v->name ? doctor_text(d, "%s", v->name) : NULL;
		judge_mapping(p, &k, v, pr);
		pr->unknown = without_kernels(d, pr->unknown);
		if (!pr->can && !pr->unknown && !pr->why)
			pr->why = "userfaultfd does not work on this kind of memory";
	}
	cleanup_close(&k.uffd);
}
