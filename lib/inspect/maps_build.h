/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A target's mappings, and how they are gathered, from one source or from both. */
#ifndef UFFDCTL_MAPS_BUILD_H
#define UFFDCTL_MAPS_BUILD_H

#include "lib/inspect/list.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/target.h"
#include "lib/kernel/vmflags.h"
#include "lib/util.h"
#include "lib/vma.h"

/* Internal beside UFFDCTL_MAPS_*: VmFlags that have no name here do no harm. */
#define MAPS_ANY_FLAGS (1u << 31)

struct uffdctl_maps {
	struct uffdctl_vma *vmas;
	uint64_t *owners; /* beside vmas, by the kernel addresses that bpf/event.h calls ctx; NULL from smaps */
	size_t nr;
	enum uffdctl_source source;
	uint64_t *sizes;
	struct strpool strings;
};

struct builder {
	struct uffdctl_target *t;
	struct uffdctl_maps *m;
	size_t vmas_alloc, owners_alloc, sizes_alloc;
	unsigned int flags;
	bool owners_only; /* smaps is asked for the rest */
	const struct vmflags *vmflags;
	const struct uffdctl_list *list;
};

/* Free all but m itself. */
void maps_clear(struct uffdctl_maps *m);
/* Begin anew: forget what was gathered. */
void builder_clear(struct builder *b);
/* What a line of /proc/PID/maps says of a mapping. */
int builder_fill(struct builder *b, struct uffdctl_vma *v, const struct maps_line *l);

/* The sources, maps_bpf.c and maps_smaps.c. Failures are logged, but for -ENOMEM. */
int maps_from_bpf(struct builder *b);
int maps_from_smaps(struct builder *b);

#endif
