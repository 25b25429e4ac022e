/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mappings of a target, gathered from one source or from both. */
#ifndef UFFDCTL_MAPS_BUILD_H
#define UFFDCTL_MAPS_BUILD_H

#include "lib/inspect/list.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/target.h"
#include "lib/kernel/vmflags.h"
#include "lib/util.h"
#include "lib/vma.h"

/* Internal, in addition to UFFDCTL_MAPS_*: unknown VmFlags are no error. */
#define MAPS_ANY_FLAGS (1u << 31)

struct uffdctl_maps {
	struct uffdctl_vma *vmas;
	uint64_t *owners; /* parallel to vmas: ctx of bpf/event.h; NULL from smaps */
	size_t nr;
	enum uffdctl_source source;
	uint64_t *sizes;
	struct strpool strings;
};

struct builder {
	struct uffdctl_target *t;
	struct uffdctl_maps *m;
	size_t vmas_alloc, owners_alloc, sizes_alloc, files_alloc;
	uint64_t *files; /* parallel to vmas, from BPF: enum of maps_bpf.c, or the identity of a file */
	unsigned int flags;
	bool owners_only; /* the rest comes from smaps */
	const struct vmflags *vmflags;
	const struct uffdctl_list *list;
	struct {
		uint64_t vm_flags;
		const char *text;
	} recent[16]; /* by their permissions: most mappings have the flags of one shortly before */
};

/* Free all but m itself. */
void maps_clear(struct uffdctl_maps *m);
/* Begin again: drop what was gathered. */
void builder_clear(struct builder *b);
/*
 * A file's device as BPF knows it, that of its memory, and as /proc/PID/maps shows it: they differ on a stacked file
 * system. v has one of them, or none.
 */
void builder_compare_devices(struct uffdctl_vma *v, uint32_t dev_major, uint32_t dev_minor);
/* The fields of a line of /proc/PID/maps. */
int builder_fill(struct builder *b, struct uffdctl_vma *v, const struct maps_line *l);

/* Log why the mappings could not be read: usually the process has ended. Returns the errno; -ENOMEM is not logged. */
int mappings_error(struct builder *b, int err);

/* The sources, maps_bpf.c and maps_smaps.c. Failures are logged, except -ENOMEM. */
int maps_from_bpf(struct builder *b);
int maps_from_smaps(struct builder *b);

#endif
