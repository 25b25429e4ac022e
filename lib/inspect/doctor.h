/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The findings of the doctor, and who makes them. */
#ifndef UFFDCTL_DOCTOR_H
#define UFFDCTL_DOCTOR_H

#include "lib/context.h"
#include "lib/kernel/limits.h"
#include "lib/util.h"

/* What a command may need. */
enum need {
	NEED_INSPECT = 1 << 0, /* to see all processes */
	NEED_WATCH = 1 << 1,
	NEED_DESCRIPTOR = 1 << 2, /* to take a process's userfaultfd */
	NEED_PROCESS = 1 << 3,	  /* to read about the given process: all do */
};

struct uffdctl_doctor {
	struct uffdctl *u;
	struct limits limits;
	unsigned int needs; /* of the command that was asked for; ~0: all */
	pid_t pid;	    /* 0: none */
	struct uffdctl_check *checks;
	size_t nr_checks, checks_alloc;
	struct uffdctl_memory_check *memories;
	size_t nr_memories, memories_alloc;
	struct uffdctl_mapping_check *mappings;
	size_t nr_mappings, mappings_alloc;
	struct strpool strings;
	bool oom;
};

/* A copy that lives as long as the findings; NULL for NULL. */
const char *doctor_text(struct uffdctl_doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* @needs: the commands that need it; @detail, @remedy: copies, as from doctor_text() */
void doctor_add(struct uffdctl_doctor *d, const char *name, unsigned int needs, enum uffdctl_verdict verdict,
		const char *detail, const char *remedy);

/* Each adds its findings. */
void doctor_uffd(struct uffdctl_doctor *d);
void doctor_memory(struct uffdctl_doctor *d);
void doctor_processes(struct uffdctl_doctor *d);
void doctor_bpf(struct uffdctl_doctor *d);
void doctor_kernel(struct uffdctl_doctor *d);
void doctor_target(struct uffdctl_doctor *d);
void doctor_mappings(struct uffdctl_doctor *d, const struct uffdctl_maps *maps);

#endif
