/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the ranges come to in the target: the parts of a job, checked before anything is done. */
#ifndef UFFDCTL_PLAN_H
#define UFFDCTL_PLAN_H

#include "lib/drive/job.h"

struct plan {
	struct uffdctl_maps *maps;
	struct segments segs;
	uint64_t bytes;	   /* of all of them */
	uint64_t contents; /* how far these must reach */
};

/* @failed: set where a range comes to nothing, and the others are done all the same */
int plan_make(struct job *job, const struct uffdctl_ranges *ranges, struct plan *ret, bool *failed);
void plan_free(struct plan *plan);

/*
 * Have both the same addresses in the same order, and do those of a still show the same files? Mappings may have been
 * split or joined.
 */
bool plan_is_same(struct job *job, const struct plan *a, const struct plan *b);

/* /proc/PID/pagemap. Without it the ioctl alone may do as well. */
int plan_open_pagemap(struct job *job, const struct plan *plan);

/* What is objected to becomes a part too, so that all is reported in its order. */
int plan_add_parts(struct job *job, const struct plan *plan);

#endif
